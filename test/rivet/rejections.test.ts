import { execFileSync } from "node:child_process";
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startServerProcess } from "../support/server-process.ts";
import { smallDisk } from "../support/small-disk.ts";

const PROGRAM = fileURLToPath(new URL("../support/failing-starts.ts", import.meta.url));

async function start(dataDir?: string) {
  const server = await startServerProcess({ program: PROGRAM, ...(dataDir !== undefined && { dataDir }) });
  const client = createClient<typeof registry>({ endpoint: server.endpoint, vms: ["vm"] });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop();
  });
  return { server, client };
}

test("actors whose start fails end no VM of a server of one's own", async () => {
  const { server, client } = await start();
  const vm = client.vm.getOrCreate("healthy");
  await vm.writeFile("/workspace/x", "kept");
  const rejections = () => server.stderr().split("unhandled rejection").length - 1;
  for (const [at, hook] of ["createState", "createVars"].entries()) {
    const failing = client.vm.getOrCreate(hook);
    await expect(failing.exists("/")).rejects.toMatchObject({ code: "hook_failed", metadata: { hook } });
    await expect.poll(rejections).toBeGreaterThan(at);
    await expect(failing.exists("/")).rejects.toMatchObject({ code: "hook_failed", metadata: { hook } });
  }
  const before = rejections();
  const { plain } = client as unknown as {
    plain: { getOrCreate(key: string): { hello(): Promise<string> } };
  };
  await expect(plain.getOrCreate("a").hello()).rejects.toThrow();
  await expect.poll(rejections).toBeGreaterThan(before);
  expect(Buffer.from(await vm.readFile("/workspace/x")).toString()).toBe("kept");
});

test("a VM that cannot fall asleep on a full disk ends no VM", async ({ skip }) => {
  const disk = smallDisk(skip, "32m");
  const { server, client } = await start(join(disk, "data"));
  const vm = client.vm.getOrCreate("sleepy");
  await vm.writeFile("/workspace/x", "kept");
  const { bsize, bavail } = statfsSync(disk);
  const filler = join(disk, "filler");
  execFileSync("fallocate", ["--length", String(bsize * bavail), filler]);
  await expect.poll(server.stderr).toContain("VM stays awake");
  rmSync(filler);
  expect(Buffer.from(await vm.readFile("/workspace/x")).toString()).toBe("kept");
});

test("a rejection of the server's own code ends the server", async () => {
  const { server } = await start();
  server.process.kill("SIGUSR2");
  expect(await server.exited).toBe(1);
  expect(server.stderr()).toContain("Error: the program's own");
});
