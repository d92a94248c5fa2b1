import fs, { existsSync, mkdirSync, readdirSync, readlinkSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import { diskSyncs } from "../../src/rivet/disk-turns.ts";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { type KvDriver, KvStorage } from "../../src/rivet/kv-storage.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** More than the time without a call after which a database is closed. */
const REST_MS = 5_001;

let storage: KvStorage;
let driver: KvDriver;
let folder = "";
let log = "";
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  folder = temporaryFolder();
  mkdirSync(join(folder, "databases"));
  storage = new KvStorage(folder);
  driver = storage.takeOver({} as KvDriver);
  await storage.prepare("actor");
  log = join(folder, "databases", "actor.db-wal");
  await driver.kvBatchPut("actor", [[key("a"), key("a")]]);
});
afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  await storage.close("actor");
});

const key = (text: string) => new TextEncoder().encode(text);

/** Names of the files of databases that are open. */
const openFiles = () =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${folder}/`) ? [basename(path)] : [];
    } catch {
      return [];
    }
  });
const isOpen = (actorId = "actor") => openFiles().includes(`${actorId}.db`);

test("a database without calls is closed, and opens again", async () => {
  expect(isOpen()).toBe(true);
  vi.advanceTimersByTime(REST_MS);
  await vi.waitUntil(() => !isOpen());
  expect(await driver.kvBatchGet("actor", [key("a")])).toEqual([key("a")]);
});

/** Holds the next sync of a file up. */
function heldSync() {
  const begun = deferred<void>();
  const gate = deferred<void>();
  const real = diskSyncs.data;
  vi.spyOn(diskSyncs, "data").mockImplementationOnce(async (fd) => {
    begun.resolve();
    await gate.promise;
    await real(fd);
  });
  return { begun: begun.promise, release: () => gate.resolve() };
}

test("a call that arrives while a database comes to rest keeps it open", async () => {
  const sync = heldSync();
  vi.advanceTimersByTime(REST_MS);
  await sync.begun;
  expect(await driver.kvBatchGet("actor", [key("a")])).toEqual([key("a")]);
  const put = driver.kvBatchPut("actor", [[key("b"), key("b")]]);
  sync.release();
  await put;
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(isOpen()).toBe(true);
  vi.advanceTimersByTime(REST_MS);
  await vi.waitUntil(() => !isOpen());
  expect(await driver.kvBatchGet("actor", [key("b")])).toEqual([key("b")]);
});

test("a database whose actor is deleted while it comes to rest is closed once", async () => {
  const sync = heldSync();
  vi.advanceTimersByTime(REST_MS);
  await sync.begun;
  const closed = storage.close("actor");
  sync.release();
  await closed;
  expect(isOpen()).toBe(false);
  await expect(driver.kvBatchGet("actor", [key("a")])).rejects.toMatchObject({ code: "vm_destroyed" });
});

test("a database whose rest fails refuses every call, and its log stays", async () => {
  const real = diskSyncs.data;
  const failed = deferred<void>();
  let syncs = 0;
  vi.spyOn(diskSyncs, "data").mockImplementation(async (fd) => {
    syncs += 1;
    if (syncs !== 2) return await real(fd);
    failed.resolve();
    throw new Error("EIO: i/o error");
  });
  vi.advanceTimersByTime(REST_MS);
  await failed.promise;
  await expect(driver.kvBatchPut("actor", [[key("b"), key("b")]])).rejects.toThrow("EIO");
  vi.advanceTimersByTime(REST_MS);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(existsSync(log)).toBe(true);
});

test("a deletion waits for no other database, syncs nothing, and leaves a whole database until its files are deleted", async () => {
  const sync = heldSync();
  vi.advanceTimersByTime(REST_MS);
  await sync.begun;
  await storage.prepare("deleted");
  await driver.kvBatchPut("deleted", [[key("a"), key("a")]]);
  const synced = vi.spyOn(diskSyncs, "data").mockClear();
  await storage.close("deleted");
  expect([synced.mock.calls, openFiles().filter((name) => name.startsWith("deleted."))]).toEqual([[], []]);
  sync.release();
  const next = new KvStorage(folder);
  expect(await next.takeOver({} as KvDriver).kvBatchGet("deleted", [key("a")])).toEqual([key("a")]);
  await next.close("deleted");
});

/** Holds all syncs up. */
function heldSyncs() {
  const gate = deferred<void>();
  const real = diskSyncs.data;
  vi.spyOn(diskSyncs, "data").mockImplementation(async (fd) => {
    await gate.promise;
    await real(fd);
  });
  return { release: () => gate.resolve() };
}

const namesOf = (count: number) => Array.from({ length: count }, (_, index) => `actor-${index}`);

test("a database that was only read is closed while others wait for the disk", async () => {
  await storage.prepare("read");
  const names = namesOf(4);
  for (const name of names) {
    await storage.prepare(name);
    await driver.kvBatchPut(name, [[key("a"), key("a")]]);
  }
  const syncs = heldSyncs();
  expect(await driver.kvBatchGet("read", [key("a")])).toEqual([null]);
  vi.advanceTimersByTime(REST_MS);
  await vi.waitUntil(() => !isOpen("read"));
  expect(names.every(isOpen)).toBe(true);
  syncs.release();
  await vi.waitUntil(() => !names.some(isOpen));
});

test("a few idle databases wait for a slow disk, and others are closed with their logs", async () => {
  const names = namesOf(100);
  for (const name of names) {
    await storage.prepare(name);
    await driver.kvBatchPut(name, [[key("a"), key("a")]]);
  }
  const syncs = heldSyncs();
  vi.advanceTimersByTime(REST_MS);
  const open = () => openFiles().filter((name) => name.endsWith(".db"));
  await vi.waitUntil(() => new Set(open()).size <= 66);
  const logs = names.filter((name) => existsSync(join(folder, "databases", `${name}.db-wal`)));
  expect(logs).toEqual(names);
  syncs.release();
  await vi.waitUntil(() => open().length === 0);
  for (const name of names) expect(await driver.kvBatchGet(name, [key("a")])).toEqual([key("a")]);
  vi.advanceTimersByTime(REST_MS);
  await vi.waitUntil(() => open().length === 0);
});

test("a database without calls is closed although no descriptor is free for its rest", async () => {
  const open = fs.openSync;
  vi.spyOn(fs, "openSync").mockImplementation((path, ...args) => {
    if (!`${path}`.startsWith(folder)) return open(path, ...args);
    throw Object.assign(new Error("EMFILE: too many open files, open"), { code: "EMFILE" });
  });
  syncBuiltinESMExports();
  vi.advanceTimersByTime(REST_MS);
  await vi.waitUntil(() => !isOpen());
  expect(await driver.kvBatchGet("actor", [key("a")])).toEqual([key("a")]);
});

test("databases that become idle together are closed in turns of the event loop of their own", async () => {
  const names = namesOf(20);
  for (const name of names) {
    await storage.prepare(name);
    expect(await driver.kvBatchGet(name, [key("a")])).toEqual([null]);
  }
  let turn = 0;
  const turns: number[] = [];
  const count = () => {
    turn += 1;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const close = KvDatabase.prototype.close;
  vi.spyOn(KvDatabase.prototype, "close").mockImplementation(function (this: KvDatabase, ...args) {
    turns.push(turn);
    return close.apply(this, args);
  });
  vi.advanceTimersByTime(REST_MS);
  await vi.waitUntil(() => !["actor", ...names].some(isOpen));
  clearImmediate(counting);
  expect(turns).toEqual([...new Set(turns)]);
});
