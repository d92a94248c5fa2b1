import { existsSync, mkdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import { diskSyncs } from "../../src/rivet/disk-turns.ts";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { createKvDatabase } from "../../src/rivet/kv-schema.ts";
import { type KvDriver, KvStorage } from "../../src/rivet/kv-storage.ts";
import { withSync } from "../../src/rivet/lazy-changes.ts";
import { LostValues } from "../../src/rivet/lost-values.ts";
import { COMMIT, LAZY } from "../../src/runtime/store/store.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const root = temporaryFolder();
let count = 0;
let path = "";
let opened: KvDatabase[] = [];

beforeEach(async () => {
  count += 1;
  path = join(root, `${count}.db`);
  await createKvDatabase(path);
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const database of opened) await database.close();
  opened = [];
});

async function open(): Promise<KvDatabase> {
  const database = await KvDatabase.open(path);
  opened.push(database);
  // The first sync of a log syncs its folder too.
  await database.put([[key("first"), key("1")]]);
  return database;
}

const key = (text: string) => new TextEncoder().encode(text);
const large = (byte: number) => new Uint8Array(100_000).fill(byte);
const first = (database: KvDatabase, name: string) => database.get([key(name)])[0]?.[0];

/** Puts work before syncs of one kind. Syncs of logs stay as they are. */
function beforeSyncs(kind: "data" | "all", work: () => Promise<void>) {
  const real = diskSyncs[kind];
  return vi.spyOn(diskSyncs, kind).mockImplementation(async (fd) => {
    if (!readlinkSync(`/proc/self/fd/${fd}`).endsWith("-wal")) await work();
    await real(fd);
  });
}

/** Lets syncs of one kind fail. */
function broken(kind: "data" | "all") {
  return beforeSyncs(kind, () => Promise.reject(Object.assign(new Error("EIO: i/o error"), { code: "EIO" })));
}

/** Holds syncs of one kind until `release`. `begun` resolves with the first of them, and `count` is their number. */
function held(kind: "data" | "all") {
  const begun = deferred<void>();
  const gate = deferred<void>();
  const sync = { begun: begun.promise, release: () => gate.resolve(), count: 0 };
  beforeSyncs(kind, async () => {
    sync.count += 1;
    begun.resolve();
    await gate.promise;
  });
  return sync;
}

/** Lets everything run that waits for nothing outside. */
const turns = async () => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test.each(["data", "all"] as const)(
  "a failed sync of a value (%s) fails the next commit, whatever other change comes before it",
  async (kind) => {
    const database = await open();
    const failing = broken(kind);
    await database.put([[key("pack"), large(1)]], LAZY);
    await database.put([[key("other"), key("other")]]);
    expect(failing).toHaveBeenCalled();
    failing.mockRestore();
    expect(first(database, "pack")).toBeUndefined();
    await database.settle();
    await expect(database.put([[key("head"), key("1")]], COMMIT)).rejects.toThrow("EIO");
    expect(first(database, "head")).toBeUndefined();
    await database.put([[key("pack"), large(2)]], LAZY);
    await database.put([[key("head"), key("2")]], COMMIT);
    expect(first(database, "pack")).toBe(2);
    expect(database.isIdle).toBe(true);
  },
);

const LOST_ENDS: Record<string, (database: KvDatabase) => Promise<void>> = {
  delete: (database) => database.delete([key("pack")]),
  "delete of a range": (database) => database.deleteRange(key("p"), key("q")),
  put: (database) => database.put([[key("pack"), large(2)]], LAZY),
};

test.each(Object.entries(LOST_ENDS))(
  "a %s of the keys whose values are lost lets the next commit succeed",
  async (_, end) => {
    const database = await open();
    const failing = broken("data");
    await database.put([[key("pack"), large(1)]], LAZY);
    await database.put([[key("other"), key("other")]]);
    failing.mockRestore();
    await end(database);
    await database.put([[key("head"), key("1")]], COMMIT);
    expect(first(database, "head")).toBe(key("1")[0]);
  },
);

test("a database with a lost value becomes idle, and the commit fails after it was opened again", async () => {
  const lost = new LostValues();
  const database = await KvDatabase.open(path, { lost });
  const failing = broken("data");
  await database.put([[key("pack"), large(1)]], LAZY);
  await database.settle();
  failing.mockRestore();
  await database.settle();
  expect(database.isIdle).toBe(true);
  await database.close();
  const again = await KvDatabase.open(path, { isFirst: false, lost });
  opened.push(again);
  await expect(again.put([[key("head"), key("1")]], COMMIT)).rejects.toThrow("EIO");
  await again.put([[key("head"), key("2")]], COMMIT);
});

test.each(["data", "all"] as const)(
  "no synced change overtakes the sync of an earlier value (%s)",
  async (kind) => {
    const database = await open();
    const sync = held(kind);
    await database.put([[key("pack"), large(1)]], LAZY);
    const changes = [database.put([[key("a"), key("1")]]), database.put([[key("head"), key("1")]], COMMIT)];
    await sync.begun;
    await turns();
    expect(database.get([key("a"), key("head")])).toEqual([null, null]);
    sync.release();
    await Promise.all(changes);
    expect(first(database, "head")).toBe(key("1")[0]);
  },
);

test("changes take effect in the order of their calls, also while a value is synced", async () => {
  const database = await open();
  const sync = held("data");
  await database.put([[key("pack"), large(1)]], LAZY);
  const changes = [
    database.put([[key("a"), key("1")]]),
    database.put([[key("a"), key("2")]]),
    database.deleteRange(key("b"), key("c")),
    database.put([[key("b"), large(3)]], LAZY),
  ];
  await sync.begun;
  sync.release();
  await Promise.all(changes);
  expect([first(database, "a"), first(database, "b")]).toEqual([key("2")[0], 3]);
});

test("a database is not idle, and stays open, until its values are on disk", async () => {
  const database = await open();
  const sync = held("data");
  await database.put([[key("pack"), large(1)]], LAZY);
  await sync.begun;
  expect(database.isIdle).toBe(false);
  const settled = database.settle();
  sync.release();
  await settled;
  expect(database.isIdle).toBe(true);
});

test("databases leave threads for other work while their values are synced", async () => {
  const sync = held("data");
  const databases = [await open()];
  for (let more = 0; more < 3; more++) {
    path = join(root, `${count}-${more}.db`);
    databases.push(await open());
  }
  for (const database of databases) await database.put([[key("pack"), large(1)]], LAZY);
  await sync.begun;
  await turns();
  expect(sync.count).toBe(2);
  sync.release();
  await Promise.all(databases.map((database) => database.settle()));
  expect(sync.count).toBe(4);
});

test("nothing of a destroyed actor is written after its database has closed", async () => {
  const folder = join(root, `data-${count}`);
  mkdirSync(join(folder, "databases"), { recursive: true });
  const storage = new KvStorage(folder);
  const driver = storage.takeOver({} as KvDriver);
  await storage.prepare("x");
  const sync = held("data");
  const put = (name: string) => withSync(LAZY, () => driver.kvBatchPut("x", [[key(name), large(1)]]));
  for (const name of ["a", "b", "c", "d"]) await put(name);
  const late = put("e");
  await sync.begun;
  const closing = storage.close("x");
  sync.release();
  await closing;
  await late;
  const values = join(folder, "databases", "x.values");
  rmSync(values, { recursive: true });
  await expect(put("f")).rejects.toMatchObject({ code: "vm_destroyed" });
  await turns();
  expect(existsSync(values)).toBe(false);
});
