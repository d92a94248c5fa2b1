import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { VmDirectory } from "../../src/directory/vm-directory.ts";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { testFolder } from "../support/temporary-folder.ts";

const VM = { actorId: "a1", name: "vm", key: ["a"], createdAt: 1 };

const HOLDER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { DatabaseSync } = require("node:sqlite");
  const db = new DatabaseSync(workerData.path);
  db.exec("BEGIN IMMEDIATE");
  parentPort.postMessage("held");
  Atomics.wait(workerData.released, 0, 0, workerData.ms);
  db.exec("COMMIT");
  db.close();
`;

/** Holds the lock of an index in a thread of its own, until `release` or for some milliseconds. */
async function held(path: string, ms: number): Promise<{ release(): Promise<void> }> {
  const released = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(HOLDER, { eval: true, workerData: { path, released, ms } });
  const exited = once(worker, "exit");
  await once(worker, "message");
  return {
    async release() {
      Atomics.store(released, 0, 1);
      Atomics.notify(released, 0);
      await exited;
    },
  };
}

const start = (folder: string) =>
  new VmDirectory(folder, {
    quota: {},
    lifetimes: new Map(),
    isStarting: () => false,
    store: async () => undefined,
    destroy: async () => undefined,
    onFailure: (error) => expect.unreachable(String(error)),
    onReplaced: () => undefined,
  });

test("a start waits for the lock of an index without tables", async () => {
  const folder = testFolder();
  const path = join(folder, "vms.db");
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = WAL");
  const { release } = await held(path, 300);
  const rows = new VmRows(folder);
  rows.insert(VM);
  expect(rows.count()).toBe(1);
  await release();
  db.close();
});

test("a start waits for the lock of the index of an earlier server", async () => {
  const folder = testFolder();
  const rows = new VmRows(folder);
  rows.insert(VM);
  const { release } = await held(join(folder, "vms.db"), 300);
  start(folder).close();
  // The VM has no file.
  expect(rows.count()).toBe(0);
  await release();
});

test.each([
  ["drop a row", "DELETE", []],
  ["note that no VM is awake", "UPDATE", [VM.actorId]],
])("a start that cannot %s fails with storage_failed", (_, change, actors) => {
  const folder = testFolder();
  mkdirSync(join(folder, "state"));
  for (const actorId of actors) writeFileSync(join(folder, "state", actorId), "");
  const rows = new VmRows(folder);
  rows.insert(VM);
  rows.change(VM.actorId, { awake: 1 });
  const db = new DatabaseSync(join(folder, "vms.db"));
  db.exec(`CREATE TRIGGER refuse BEFORE ${change} ON vms BEGIN SELECT RAISE(ABORT, 'no'); END`);
  expect(() => start(folder)).toThrow(expect.objectContaining({ code: "storage_failed" }));
  db.exec("DROP TRIGGER refuse");
  start(folder).close();
  db.close();
});

test("a change does not hold the server for the lock of the index", async () => {
  const folder = testFolder();
  const rows = new VmRows(folder);
  rows.started();
  // A change that waited would succeed after these milliseconds.
  const { release } = await held(join(folder, "vms.db"), 4000);
  expect(() => rows.insert(VM)).toThrow("database is locked");
  await release();
  rows.insert(VM);
  expect(rows.count()).toBe(1);
});
