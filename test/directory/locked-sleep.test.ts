import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { VmDirectory } from "../../src/directory/vm-directory.ts";
import { testFolder } from "../support/temporary-folder.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

const LIVE = {
  state: () => "awake" as const,
  processes: () => 0,
  sessions: async () => 0,
  use: async () => undefined,
  lastUsedAt: () => 7,
};

/** A directory whose VMs are destroyed when they fall asleep, and another process that may lock its index. */
function directory() {
  const folder = testFolder();
  const destroyed: string[] = [];
  const failures: unknown[] = [];
  const opened = new VmDirectory(folder, {
    quota: {},
    lifetimes: new Map([["vm", 0]]),
    isStarting: () => false,
    store: async () => undefined,
    destroy: async (actorId) => {
      destroyed.push(actorId);
      opened.beginDeletion(actorId);
      await opened.endDeletion(actorId);
    },
    onFailure: (error) => failures.push(error),
    onReplaced: () => undefined,
  });
  const other = new DatabaseSync(join(folder, "vms.db"));
  const lock = () => other.exec("BEGIN IMMEDIATE");
  const unlock = () => other.exec("COMMIT");
  const enter = () =>
    opened.enter(
      { actorId: "a1", name: "vm", key: ["a"] },
      { labels: {}, destroyAfterMs: undefined },
      { ...LIVE },
    );
  const row = () => other.prepare("SELECT awake, last_used_at FROM vms").get();
  return { opened, enter, lock, unlock, row, destroyed, failures };
}

test("a VM that falls asleep while the index is locked is destroyed in its time", async () => {
  const { opened, enter, lock, unlock, row, destroyed, failures } = directory();
  const { leave } = enter();
  lock();
  leave();
  vi.advanceTimersByTime(3_000);
  expect(row()).toMatchObject({ awake: 1 });
  unlock();
  vi.advanceTimersByTime(1_000);
  expect(row()).toEqual({ awake: 0, last_used_at: 7 });
  expect(failures).toMatchObject([{ code: "storage_failed" }]);
  vi.advanceTimersByTime(1_000);
  await vi.waitFor(() => expect(row()).toBeUndefined());
  expect(destroyed).toEqual(["a1"]);
  opened.close();
});

test("a VM that wakes before its sleep is noted stays awake in the index", () => {
  const { opened, enter, lock, unlock, row } = directory();
  const { leave } = enter();
  lock();
  leave();
  expect(enter).toThrow(expect.objectContaining({ code: "storage_failed" }));
  unlock();
  enter();
  vi.advanceTimersByTime(3_000);
  expect(row()).toMatchObject({ awake: 1 });
  expect(vi.getTimerCount()).toBe(0);
  opened.close();
});

test("a sleep that is not noted yet does not touch a new VM of that id", async () => {
  const { opened, enter, lock, unlock, row } = directory();
  const { leave } = enter();
  lock();
  leave();
  unlock();
  opened.beginDeletion("a1");
  await opened.endDeletion("a1");
  opened.admit({ actorId: "a1", name: "vm", key: ["a"] });
  vi.advanceTimersByTime(3_000);
  expect(row()).not.toMatchObject({ last_used_at: 7 });
  opened.close();
});

test("an index that closes tries no more to note a sleep", () => {
  const { opened, enter, lock, unlock, row } = directory();
  const { leave } = enter();
  lock();
  leave();
  opened.close();
  expect(vi.getTimerCount()).toBe(0);
  unlock();
  expect(row()).toMatchObject({ awake: 1 });
});

test("an index that has closed does not try again to note a sleep", () => {
  const { opened, enter, lock, unlock, failures } = directory();
  const { leave } = enter();
  opened.close();
  lock();
  leave();
  expect(vi.getTimerCount()).toBe(0);
  expect(failures).toMatchObject([{ code: "storage_failed" }]);
  unlock();
});

test("a VM that is destroyed while the index is locked can be destroyed later", () => {
  const { opened, enter, lock, unlock } = directory();
  const { beginDestroy } = enter();
  lock();
  expect(beginDestroy).toThrow(expect.objectContaining({ code: "storage_failed" }));
  unlock();
  beginDestroy();
  expect(opened.deletionOf("a1")).toBeDefined();
  opened.close();
});
