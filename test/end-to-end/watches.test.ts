// @module-tag slow
import { expect, onTestFinished, test } from "vitest";
import type { FileChangedEvent } from "../../src/api/events.ts";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { lineOf } from "../support/file-changes.ts";
import { freePort } from "../support/free-port.ts";
import { createClient as createLibraryClient, listen, setup, vmActor } from "../support/library.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const dataDir = temporaryFolder();
const sleeperDir = temporaryFolder();

async function start() {
  const server = await startTestServer({ kind: "kernel", process: true, dataDir });
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await server.stop();
  });
  const vm = client.vm.getOrCreate("watched").connect();
  const lines: string[] = [];
  const ids = new Set<string>();
  vm.on("fileChanged", (event: FileChangedEvent) => {
    ids.add(event.watchId);
    lines.push(lineOf(event));
  });
  return { server, vm, lines, ids };
}

test("a client receives file changes, also after a SIGKILL of the server", async () => {
  const first = await start();
  const id = await first.vm.watchFiles("/workspace", { recursive: true, exclude: ["node_modules"] });
  await first.vm.exec("mkdir -p node_modules/x src; sleep 0.1; : > src/a; : > node_modules/x/y", {
    cwd: "/workspace",
  });
  await expect.poll(() => first.lines).toContain("created /workspace/src/a");
  await first.vm.writeFile("/workspace/src/b", "text");
  await expect.poll(() => first.lines).toContain("created /workspace/src/b");
  expect(first.lines).toEqual([
    "created /workspace/src/",
    "created /workspace/src/a",
    "created /workspace/src/b",
  ]);
  expect([...first.ids]).toEqual([id]);
  await first.vm.checkpoint();
  first.server.process.kill("SIGKILL");
  await first.server.exited;

  const second = await start();
  expect(await second.vm.listWatches()).toEqual([
    { id, path: "/workspace", recursive: true, exclude: ["node_modules"] },
  ]);
  await second.vm.exists("/workspace");
  await expect.poll(() => second.lines).toEqual(["overflow /workspace"]);
  await second.vm.move("/workspace/src/a", "/workspace/c");
  await expect.poll(() => second.lines).toContain("renamed /workspace/src/a -> /workspace/c");
  await second.vm.unwatchFiles(id);
  expect(await second.vm.listWatches()).toEqual([]);
});

test("a watch does not keep its VM awake", { tags: ["slow"] }, async () => {
  const registry = setup({
    use: { vm: vmActor({ sleepTimeoutMs: 300, pool: { size: 0 } }) },
    port: await freePort(),
    dataDir: sleeperDir,
  });
  const { endpoint, close } = await listen(registry);
  const client = createLibraryClient<typeof registry>({ endpoint });
  onTestFinished(async () => {
    await client.dispose();
    await close();
  });
  const vm = client.vm.getOrCreate("sleeper");
  const id = await vm.watchFiles("/workspace", { recursive: true });
  const bootId = () => vm.exec("stat -c %Z /proc/1").then(({ stdout }) => stdout);
  const before = await bootId();
  await expect.poll(bootId, { interval: 1500 }).not.toBe(before);
  expect((await vm.listWatches()).map((watch) => watch.id)).toEqual([id]);
});
