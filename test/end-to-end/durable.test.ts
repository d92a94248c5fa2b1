// @module-tag any-user
// @module-tag slow
import { afterAll, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const dataDir = temporaryFolder();
const servers: ServerProcess[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

async function start() {
  const server = await startTestServer({ kind: "kernel", process: true, dataDir });
  servers.push(server);
  const client = createClient<typeof registry>({ endpoint: server.endpoint });
  return { server, client, vm: client.vm.getOrCreate("durable") };
}

test("acknowledged writes survive a SIGKILL of the server", async () => {
  for (let round = 0; round < 2; round++) {
    const { server, client, vm } = await start();
    if (round > 0) {
      const { stdout } = await vm.exec(`cat api-${round - 1} own-${round - 1} || ls -la`, {
        cwd: "/workspace",
      });
      expect(stdout).toBe(`written ${round - 1}\nown ${round - 1}\n`);
      expect(await vm.exists("/workspace/big")).toBe(true);
      expect((await vm.listProcesses()).at(-1)).toMatchObject({ running: false, reason: "vm_stopped" });
    }
    await vm.exec(`echo own ${round} > /workspace/own-${round}`);
    await vm.checkpoint();
    await vm.spawn("sleep", ["1001"]);
    await expect.poll(async () => (await vm.listProcesses()).some(({ running }) => running)).toBe(true);
    await vm.writeFile("/workspace/big", new Uint8Array(9 * 1024 * 1024).fill(round));
    const written = vm.writeFile(`/workspace/api-${round}`, `written ${round}\n`);
    await written;
    server.process.kill("SIGKILL");
    await server.exited;
    await client.dispose();
  }
});

test("files that processes wrote survive a SIGTERM of the server", { tags: ["slow"] }, async () => {
  const first = await start();
  await first.vm.exec(
    "git init -q repo && cd repo && git config user.email a@b && git config user.name a && seq 1 500 | split -l 1 - file && git add . && git commit -qm first",
    {
      cwd: "/workspace",
    },
  );
  first.server.process.kill("SIGTERM");
  expect(await first.server.exited).toBe(0);
  await first.client.dispose();
  const second = await start();
  const { stdout, exitCode } = await second.vm.exec(
    "git fsck --strict 2>&1; git status --short; git ls-files | wc -l",
    {
      cwd: "/workspace/repo",
    },
  );
  expect([exitCode, stdout]).toEqual([0, "500\n"]);
  await second.client.dispose();
  await second.server.stop();
});

test("a client creates, compares, restores and deletes snapshots, and undoes changes", async () => {
  const { client, vm } = await start();
  await vm.writeFile("/workspace/note", "before");
  const { id } = await vm.createSnapshot("clean");
  await vm.writeFile("/workspace/note", "after");
  expect(await vm.diff(id)).toEqual([{ path: "/workspace/note", change: "modified", type: "file", size: 5 }]);
  expect(await vm.undo(["/workspace/note"], id)).toEqual([{ path: "/workspace/note", restored: 1 }]);
  expect(new TextDecoder().decode(await vm.readFile("/workspace/note"))).toBe("before");
  await vm.restoreSnapshot(id);
  expect((await vm.listSnapshots()).map(({ name }) => name)).toEqual(["clean"]);
  await vm.deleteSnapshot(id);
  expect(await failure(vm.restoreSnapshot(id))).toMatchObject({ code: "snapshot_not_found" });
  await client.dispose();
});
