import { execFileSync } from "node:child_process";
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { smallDisk } from "../support/small-disk.ts";

const MIB = 1024 * 1024;

test("a server with a full disk makes no VM, and the others go on", async ({ skip }) => {
  const disk = smallDisk(skip, "128m");
  const { client } = await startTestServer({ kind: "memory", process: true, dataDir: join(disk, "data") });
  const { vm } = client();
  const first = vm.getOrCreate("first");
  await first.writeFile("/workspace/x", "kept");
  const { bsize, bavail } = statfsSync(disk);
  const filler = join(disk, "filler");
  execFileSync("fallocate", ["--length", `${bsize * bavail - 4 * MIB}`, filler]);
  await expect(vm.getOrCreate("second").exists("/")).rejects.toMatchObject({
    code: "server_full",
    metadata: { resource: "disk", hint: expect.stringContaining("larger disk") },
  });
  await first.writeFile("/workspace/x", "written");
  await first.sleep();
  expect(Buffer.from(await first.readFile("/workspace/x")).toString()).toBe("written");
  rmSync(filler);
  expect(await vm.getOrCreate("second").exists("/workspace")).toBe(true);
});
