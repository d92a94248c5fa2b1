import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import { diskSyncs, VALUE_SYNCS } from "../../src/rivet/disk-turns.ts";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { createKvDatabase } from "../../src/rivet/kv-schema.ts";
import { LAZY } from "../../src/runtime/store/store.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const root = temporaryFolder();
let count = 0;
let path = "";
let database: KvDatabase;

beforeEach(async () => {
  count += 1;
  path = join(root, `${count}.db`);
  await createKvDatabase(path);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await database.close();
});

const key = (text: string) => new TextEncoder().encode(text);
const entry = (name: string): [Uint8Array, Uint8Array][] => [[key(name), key(name)]];
const has = (name: string) => database.get([key(name)])[0] != null;

/** Runs work before each sync of one kind. @returns the files that were synced */
function beforeSyncs(kind: "data" | "all", work: () => Promise<void>): string[] {
  const real = diskSyncs[kind];
  const synced: string[] = [];
  vi.spyOn(diskSyncs, kind).mockImplementation(async (fd) => {
    await work();
    await real(fd);
    synced.push(readlinkSync(`/proc/self/fd/${fd}`));
  });
  return synced;
}

const fails = () => Promise.reject(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));

/** Calls of SQLite's `exec`, which may sync in the thread of the event loop. */
const statements = () => vi.spyOn(DatabaseSync.prototype, "exec");

test("a put resolves after the sync of its log, whose name is on disk before", async () => {
  database = await KvDatabase.open(path);
  const gate = deferred<void>();
  const begun = deferred<void>();
  const folders = beforeSyncs("all", async () => expect(has("a")).toBe(false));
  const logs = beforeSyncs("data", async () => {
    begun.resolve();
    await gate.promise;
  });
  let isDone = false;
  const done = database.put(entry("a")).then(() => {
    isDone = true;
  });
  await begun.promise;
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect([isDone, folders]).toEqual([false, [root]]);
  gate.resolve();
  await done;
  await database.put(entry("b"));
  expect([folders, logs]).toEqual([[root], [`${path}-wal`, `${path}-wal`]]);
});

test("a lazy put is on disk with the next put that is not lazy, also one that changes nothing", async () => {
  database = await KvDatabase.open(path);
  const synced = beforeSyncs("data", async () => undefined);
  await database.put(entry("a"), LAZY);
  expect(synced).toEqual([]);
  await database.delete([key("none")]);
  expect(synced).toEqual([`${path}-wal`]);
});

/** Names in the file alone, as after a loss of power that has taken the log. */
function namesInFile(): unknown[] {
  const copy = `${path}.copy`;
  copyFileSync(path, copy);
  const alone = new DatabaseSync(copy);
  const rows = alone.prepare("SELECT CAST(key AS TEXT) AS name FROM kv ORDER BY key").all();
  alone.close();
  return rows.map(({ name }) => name);
}

test("after a failed sync of the log its changes are synced with the database itself", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  beforeSyncs("data", fails);
  await database.put(entry("b"));
  expect(namesInFile()).toEqual(["a", "b"]);
});

/** Lets SQLite find the database in use, so that it cannot fold the log. */
function readElsewhere(): DatabaseSync {
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("BEGIN; SELECT count(*) FROM kv");
  return reader;
}

/** Number of open descriptors of the database alone. A process that ends closes the databases of SQLite, which folds and deletes a log. */
const openDescriptors = () =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;

test("the end of a process does not touch the log of a database whose sync has failed for good", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  const reader = readElsewhere();
  beforeSyncs("data", fails);
  await expect(database.put(entry("b"))).rejects.toThrow("EIO");
  vi.restoreAllMocks();
  await expect(database.deleteRange(key("a"), key("b"))).rejects.toThrow("EIO");
  reader.close();
  expect(openDescriptors()).toBe(0);
  await database.close();
  expect([namesInFile(), existsSync(`${path}-wal`)]).toEqual([[], true]);
  database = await KvDatabase.open(path);
  expect([has("a"), has("b")]).toEqual([true, true]);
});

test("a sync that fails for good fails every later call, and leaves the log as it is", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  const reader = readElsewhere();
  const synced = beforeSyncs("data", fails);
  await expect(database.put(entry("b"))).rejects.toThrow("EIO");
  vi.restoreAllMocks();
  reader.close();
  await expect(database.put(entry("c"))).rejects.toThrow("EIO");
  await expect(database.put(entry("d"), LAZY)).rejects.toThrow("EIO");
  await expect(database.settle()).rejects.toThrow("EIO");
  expect(() => database.get([key("b")])).toThrow("EIO");
  expect(() => database.list(new Uint8Array(), undefined)).toThrow("EIO");
  expect([database.isIdle, namesInFile(), synced]).toEqual([false, [], []]);
});

test("the change of a sync that failed for good may count on the next server", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  readElsewhere();
  beforeSyncs("data", fails);
  await expect(database.put(entry("b"))).rejects.toThrow("EIO");
  vi.restoreAllMocks();
  const left = `${path}.left`;
  copyFileSync(path, left);
  copyFileSync(`${path}-wal`, `${left}-wal`);
  await database.close();
  database = await KvDatabase.open(left);
  await database.put(entry("c"));
  expect([has("a"), has("b"), has("c")]).toEqual([true, true, true]);
});

test("a failed sync of the log's folder fails the put before it counts", async () => {
  database = await KvDatabase.open(path);
  beforeSyncs("all", fails);
  await expect(database.put(entry("a"))).rejects.toThrow("EIO");
  vi.restoreAllMocks();
  expect(has("a")).toBe(false);
  await database.put(entry("b"));
  expect([has("a"), has("b")]).toEqual([false, true]);
});

test("changes run without a sync in the thread of the event loop", async () => {
  database = await KvDatabase.open(path);
  const run = statements();
  await database.put(entry("a"));
  await database.put(entry("b"));
  const modes = run.mock.calls.map(([sql]) => sql).filter((sql) => sql.includes("synchronous"));
  // A new log takes its header without one.
  expect(modes).toEqual([
    "PRAGMA synchronous = OFF",
    "PRAGMA synchronous = FULL",
    "PRAGMA synchronous = NORMAL",
  ]);
});

test("a log that a killed server has left is continued with syncs", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  const left = `${path}.left`;
  copyFileSync(path, left);
  copyFileSync(`${path}-wal`, `${left}-wal`);
  await database.close();
  const run = statements();
  database = await KvDatabase.open(left);
  await database.put(entry("b"));
  expect([has("a"), has("b")]).toEqual([true, true]);
  expect(run.mock.calls.map(([sql]) => sql)).not.toContain("PRAGMA synchronous = OFF");
});

test("a database comes to rest with both syncs in threads of the pool, and its end deletes the log", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  await database.put(entry("b"), LAZY);
  expect([database.isAtRest, namesInFile()]).toEqual([false, []]);
  const synced = beforeSyncs("data", async () => undefined);
  await database.rest();
  expect([database.isAtRest, namesInFile(), synced]).toEqual([true, ["a", "b"], [`${path}-wal`, path]]);
  await database.close();
  expect(existsSync(`${path}-wal`)).toBe(false);
  database = await KvDatabase.open(path);
  expect([has("a"), has("b")]).toEqual([true, true]);
});

test("a log that was left is continued, and folded by the rest of a database that is only read", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  await database.put(entry("b"), LAZY);
  const synced = beforeSyncs("data", async () => undefined);
  await database.close({ leavesLog: true });
  expect([namesInFile(), synced, openDescriptors()]).toEqual([[], [], 0]);
  database = await KvDatabase.open(path);
  expect([has("a"), has("b")]).toEqual([true, true]);
  await database.rest();
  expect([database.isAtRest, namesInFile(), synced]).toEqual([true, ["a", "b"], [`${path}-wal`, path]]);
  await database.put(entry("c"));
  await database.close();
  expect(namesInFile()).toEqual(["a", "b", "c"]);
});

test("a change does not wait for the turn that a database needs for its rest", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  await VALUE_SYNCS.acquire();
  await VALUE_SYNCS.acquire();
  const rest = database.rest();
  await vi.waitUntil(() => VALUE_SYNCS.waiting === 1);
  const put = database.put(entry("b")).then(() => "done");
  try {
    await expect.poll(() => Promise.race([put, "waits"])).toBe("done");
    expect(VALUE_SYNCS.waiting).toBe(1);
  } finally {
    VALUE_SYNCS.release();
    VALUE_SYNCS.release();
    await rest;
  }
  expect(has("b")).toBe(true);
});

test("no change begins before a database that comes to rest is on disk", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  const gate = deferred<void>();
  const begun = deferred<void>();
  let syncs = 0;
  beforeSyncs("data", async () => {
    syncs += 1;
    if (syncs < 2) return;
    begun.resolve();
    await gate.promise;
  });
  const rest = database.rest();
  await begun.promise;
  const put = database.put(entry("b"), LAZY);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect([has("a"), has("b"), database.isAtRest]).toEqual([true, false, false]);
  gate.resolve();
  await Promise.all([rest, put]);
  expect([has("b"), database.isAtRest]).toEqual([true, false]);
  await database.rest();
  expect([database.isAtRest, namesInFile()]).toEqual([true, ["a", "b"]]);
});

test("an end that is called while a database comes to rest waits for it", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  const gate = deferred<void>();
  const begun = deferred<void>();
  const synced = beforeSyncs("data", async () => {
    begun.resolve();
    await gate.promise;
  });
  const rest = database.rest();
  await begun.promise;
  const end = database.close();
  gate.resolve();
  await Promise.all([rest, end]);
  expect([synced, namesInFile()]).toEqual([[`${path}-wal`, path], ["a"]]);
});

/** Opens what a loss of power has left, and returns its names. */
async function namesAfter(content: Buffer, log: Buffer | undefined): Promise<string[]> {
  count += 1;
  const left = join(root, `${count}.db`);
  writeFileSync(left, content);
  if (log !== undefined) writeFileSync(`${left}-wal`, log);
  const opened = await KvDatabase.open(left);
  const names = opened.list(new Uint8Array(), undefined).map(([name]) => new TextDecoder().decode(name));
  await opened.close();
  const check = new DatabaseSync(left).prepare("PRAGMA integrity_check").get();
  expect(check).toEqual({ integrity_check: "ok" });
  return names;
}

test("a loss of power at any step to the rest and the end loses no change", async () => {
  database = await KvDatabase.open(path);
  const names = Array.from({ length: 40 }, (_, index) => `name-${index + 10}`);
  for (const name of names) await database.put([[key(name), new Uint8Array(1_000).fill(7)]]);
  await database.delete([key("name-10")]);
  const kept = names.slice(1);
  const before = readFileSync(path);
  const log = readFileSync(`${path}-wal`);
  await database.rest();
  const after = readFileSync(path);
  expect(after.equals(before)).toBe(false);
  // Any of the pages may have reached the disk before the sync of the database.
  for (const isWritten of [(page: number) => page % 2 === 0, (page: number) => page % 2 === 1]) {
    const mixed = Buffer.from(after);
    for (let page = 0; page * 4096 < mixed.length; page++)
      if (!isWritten(page))
        mixed
          .fill(0, page * 4096, (page + 1) * 4096)
          .set(before.subarray(page * 4096, (page + 1) * 4096), page * 4096);
    expect(await namesAfter(mixed, log)).toEqual(kept);
  }
  expect(await namesAfter(before, log)).toEqual(kept);
  expect(await namesAfter(after, log)).toEqual(kept);
  expect(await namesAfter(after, undefined)).toEqual(kept);
});

test("a failed sync of a database that comes to rest fails every later call, and the log keeps the changes", async () => {
  database = await KvDatabase.open(path);
  const empty = readFileSync(path);
  await database.put(entry("a"));
  const real = diskSyncs.data;
  vi.spyOn(diskSyncs, "data").mockImplementation((fd) =>
    readlinkSync(`/proc/self/fd/${fd}`) === realpathSync(path) ? fails() : real(fd),
  );
  await expect(database.rest()).rejects.toThrow("EIO");
  await expect(database.put(entry("b"))).rejects.toThrow("EIO");
  await expect(database.put(entry("b"), LAZY)).rejects.toThrow("EIO");
  await expect(database.rest()).rejects.toThrow("EIO");
  expect(() => database.get([key("a")])).toThrow("EIO");
  expect([database.isIdle, database.isAtRest]).toEqual([false, false]);
  await database.close();
  expect(openDescriptors()).toBe(0);
  // The failed sync may have lost the pages of the database.
  expect(await namesAfter(empty, readFileSync(`${path}-wal`))).toEqual(["a"]);
});

test("a database that is read elsewhere is folded later", async () => {
  database = await KvDatabase.open(path);
  await database.put(entry("a"));
  const reader = readElsewhere();
  await database.put(entry("b"));
  await database.rest();
  expect(has("b")).toBe(true);
  await database.put(entry("c"));
  reader.exec("COMMIT");
  reader.close();
  await database.rest();
  expect([database.isAtRest, namesInFile()]).toEqual([true, ["a", "b", "c"]]);
});
