import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import { diskSyncs } from "../../src/rivet/disk-turns.ts";
import { type KvDriver, KvStorage } from "../../src/rivet/kv-storage.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** More than the time without a call after which a database is closed. */
const REST_MS = 5_001;

let storage: KvStorage;
let driver: KvDriver;
let log = "";
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const folder = temporaryFolder();
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
  await storage.close("actor");
});

const key = (text: string) => new TextEncoder().encode(text);
const isOpen = () => existsSync(log);

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
