import { spawn } from "node:child_process";
import { once } from "node:events";
import { hostname } from "node:os";
import { expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { freePort } from "../support/free-port.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const dataDir = temporaryFolder();

async function start(): Promise<ServerProcess> {
  const server = await startTestServer({ kind: "memory", process: true, dataDir, mayExit: true });
  onTestFinished(async () => void (await server.stop()));
  return server;
}

test("a second server on a data folder exits at once and names the first, which keeps running", async () => {
  const first = await start();
  const client = createClient<typeof registry>({ endpoint: first.endpoint });
  onTestFinished(() => client.dispose());
  const vm = client.vm.getOrCreate("one");
  await vm.writeFile("/workspace/a", "a");
  const second = await start();
  expect(await second.exited).toBe(1);
  expect(second.stdout()).toBe("");
  const [message, end] = second.stderr().split("\n");
  expect(message).toMatch(
    new RegExp(
      `^agent-vm: The data folder ${dataDir} is in use by another server: process ${first.process.pid} on ${hostname()}, since \\d{4}-`,
    ),
  );
  expect(message).toMatch(
    /\. Stop that server, or choose another folder: `dataDir` of setup\(\), AGENT_VM_DATA of `agent-vm serve`\.$/,
  );
  expect(end).toBe("");
  expect(new TextDecoder().decode(await vm.readFile("/workspace/a"))).toBe("a");
});

test("only one of five servers that start at once keeps running", { tags: ["slow"] }, async () => {
  const servers = await Promise.all(Array.from({ length: 5 }, start));
  expect(servers.filter(({ process }) => process.exitCode === null).length).toBe(1);
  for (const server of servers)
    if (server.process.exitCode !== null) expect(server.stderr()).toContain("is in use");
});

test.each<NodeJS.Signals>(["SIGKILL", "SIGTERM"])(
  "the folder is free as soon as %s has ended its server",
  { tags: ["slow"] },
  async (signal) => {
    for (let round = 0; round < 3; round++) {
      const server = await start();
      expect(server.stderr()).toBe("");
      server.process.kill(signal);
      await server.exited;
    }
  },
);

test("also refuses a registry that starts without listen()", { tags: ["slow"] }, async () => {
  const first = await start();
  const code = `
    import { setup, vmActor } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)};
    setup({ use: { vm: vmActor({ runtime: "memory" }) }, port: ${await freePort()}, dataDir: ${JSON.stringify(dataDir)} }).start();
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [status] = await once(child, "close");
  expect(status).toBe(1);
  expect(stderr).toContain(`is in use by another server: process ${first.process.pid}`);
});
