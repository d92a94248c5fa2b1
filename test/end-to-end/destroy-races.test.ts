// @module-tag slow
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import type { AgentVmError } from "../../src/api/errors.ts";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

/** Changes the row of a VM in the index of a server that has ended. */
function change(dataDir: string, actorId: string, assignment: string): void {
  const index = new DatabaseSync(join(dataDir, "vms.db"));
  index.prepare(`UPDATE vms SET ${assignment} WHERE actor_id = ?`).run(actorId);
  index.close();
}

test("a VM whose record was deleted before its content does not leave the content to the key's next VM", async () => {
  const dataDir = testFolder();
  const first = await startTestServer({ kind: "kernel", process: true, dataDir });
  const vm = first.client().vm.getOrCreate("a");
  await vm.writeFile("/workspace/secret", "x");
  const actorId = await vm.resolve();
  await first.stop("SIGKILL");
  change(dataDir, actorId, "destroying = 1");
  rmSync(join(dataDir, "state", actorId));
  const second = await startTestServer({ kind: "kernel", process: true, dataDir });
  await expect.poll(() => existsSync(join(dataDir, "databases", `${actorId}.db`))).toBe(false);
  expect(await second.client().vm.getOrCreate("a").exists("/workspace/secret")).toBe(false);
  await second.stop("SIGKILL");
  // Without any note, as after a crash in the middle of a creation.
  rmSync(join(dataDir, "state", actorId));
  const third = await startTestServer({ kind: "kernel", process: true, dataDir });
  expect((await third.client().vm.list()).vms).toEqual([]);
  expect((await third.client().vm.getOrCreate("a").exec("echo works")).stdout).toBe("works\n");
});

test("many destroys and creations of one key at the same time leave a VM that works", async () => {
  const server = await startTestServer({ kind: "kernel", process: true });
  const clients = Array.from({ length: 4 }, () => server.client().vm);
  const gone = ["vm_destroyed", "vm_stopped", "actor_not_found"];
  const turn = async (round: number) => {
    const vm = clients[round % clients.length]!.getOrCreate("a");
    try {
      await vm.writeFile(`/workspace/${round}`, "x");
      await vm.destroy();
    } catch (error) {
      // Another client has destroyed the VM meanwhile.
      const { code, message } = error as AgentVmError;
      expect(gone, message).toContain(code);
    }
  };
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 8 }, (_, each) => turn(round * 8 + each)));
  }
  const vm = clients[0]!.getOrCreate("a");
  await expect
    .poll(async () => (await vm.exec("echo works").catch(() => ({ stdout: "" }))).stdout)
    .toBe("works\n");
  await vm.destroy();
  expect((await clients[0]!.list()).vms).toEqual([]);
});

test("destroy waits for nothing of other keys", async () => {
  const server = await startTestServer({ kind: "kernel", process: true });
  const { vm } = server.client();
  const slow = vm.getOrCreate("slow");
  await slow.exec("true");
  const [other] = await Promise.all([vm.getOrCreate("other").exec("echo other"), slow.destroy()]);
  expect(other.stdout).toBe("other\n");
});

test("a VM that was awake when its server was killed is not destroyed for a long sleep", async () => {
  const dataDir = testFolder();
  const first = await startTestServer({ kind: "kernel", process: true, dataDir });
  const vm = first.client().vm.getOrCreate("a");
  await vm.writeFile("/workspace/kept", "kept");
  const actorId = await vm.resolve();
  await first.stop("SIGKILL");
  change(dataDir, actorId, "slept_at = 0, destroy_after = 1000000");
  const second = await startTestServer({ kind: "kernel", process: true, dataDir });
  expect(await second.client().vm.getOrCreate("a").exists("/workspace/kept")).toBe(true);
});

test("a damaged index is made again from the actors' files", async () => {
  const dataDir = testFolder();
  const first = await startTestServer({ kind: "memory", process: true, dataDir });
  await first.client().vm.getOrCreate(["a", "b"]).setLabels({ x: "y" });
  await first.stop("SIGTERM");
  writeFileSync(join(dataDir, "vms.db"), "damaged");
  const second = await startTestServer({ kind: "memory", process: true, dataDir });
  expect((await second.client().vm.list()).vms.map(({ key }) => key)).toEqual([["a", "b"]]);
  expect(await failure(second.client().vm.get("none").exists("/"))).toMatchObject({
    code: "actor_not_found",
  });
});
