import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DriverAlarms } from "../../src/actors/driver-alarms.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const root = temporaryFolder();
let folders = 0;
beforeEach(() => {
  vi.useFakeTimers({ now: NOW, toFake: ["Date", "setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A driver that stores alarms as RivetKit does, and actors that note when they are rung. */
function startDriver(folder = join(root, String(folders++))) {
  mkdirSync(folder, { recursive: true });
  const rung: string[] = [];
  const driver = {
    async setAlarm({ id }: { id: string }, timestamp: number) {
      writeFileSync(join(folder, id), encoded(id, timestamp));
    },
    cancelAlarm: () => undefined,
    startDestroy: () => undefined,
    loadActor: async (actorId: string) => ({
      onAlarm: async () => void rung.push(`${actorId} ${Date.now() - NOW}`),
    }),
  };
  return { driver: new DriverAlarms(folder).takeOver(driver), folder, rung };
}

/** In BARE: a version, a string, a number. */
function encoded(id: string, timestamp: number): Buffer {
  const number: number[] = [];
  let rest = BigInt(timestamp);
  for (; rest >= 128n; rest >>= 7n) number.push(Number(rest & 127n) | 128);
  return Buffer.concat([
    Buffer.from([3, 0, id.length]),
    Buffer.from(id),
    Buffer.from([...number, Number(rest)]),
  ]);
}

/** Lets time pass, and what it sets off come to its end. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("each actor is rung at its time, and its file goes when no alarm follows", async () => {
  const { driver, folder, rung } = startDriver();
  await driver.setAlarm({ id: "b" }, NOW + 90_000);
  await driver.setAlarm({ id: "a" }, NOW + 1_000);
  await pass(999);
  expect(rung).toEqual([]);
  await pass(1);
  expect(rung).toEqual(["a 1000"]);
  expect([existsSync(join(folder, "a")), existsSync(join(folder, "b"))]).toEqual([false, true]);
  await pass(89_000);
  expect(rung).toEqual(["a 1000", "b 90000"]);
});

test("a timer that is early by a millisecond, as Node's are, loses nothing", async () => {
  const { driver, rung } = startDriver();
  await driver.setAlarm({ id: "a" }, NOW + 1_000);
  vi.setSystemTime(NOW - 1);
  await pass(1_000);
  expect(rung).toEqual([]);
  await pass(1);
  expect(rung).toEqual(["a 1000"]);
});

test("alarms of the last server ring, those that are overdue at once", async () => {
  const before = startDriver();
  await before.driver.setAlarm({ id: "0123456789abcdef" }, NOW + 5_000);
  await before.driver.setAlarm({ id: "fedcba9876543210" }, NOW - 5_000);
  const { rung } = startDriver(before.folder);
  await pass(1);
  expect(rung.length).toBe(1);
  expect(rung[0]).toMatch(/^fedcba9876543210 /);
  await pass(5_000);
  expect(rung[1]).toBe("0123456789abcdef 5000");
});

test("an actor that does not start is woken again later, one that is gone is not", async () => {
  const { driver, folder, rung } = startDriver();
  const { loadActor } = driver;
  await driver.setAlarm({ id: "a" }, NOW + 1_000);
  await driver.setAlarm({ id: "gone" }, NOW + 1_000);
  driver.loadActor = async (actorId) => {
    throw Object.assign(new Error("no"), { code: actorId === "gone" ? "not_found" : "internal_error" });
  };
  await pass(1_000);
  expect([existsSync(join(folder, "a")), existsSync(join(folder, "gone"))]).toEqual([true, false]);
  driver.loadActor = loadActor;
  await pass(60_000);
  expect(rung).toEqual(["a 61000"]);
});

test("a clock that is set is noticed within a minute, whichever way", async () => {
  const { driver, rung } = startDriver();
  await driver.setAlarm({ id: "ahead" }, NOW + 3_600_000);
  await pass(1);
  vi.setSystemTime(NOW + 7_200_000);
  await pass(60_000);
  expect(rung.length).toBe(1);
  await driver.setAlarm({ id: "back" }, NOW + 9_000_000_000);
  vi.setSystemTime(NOW);
  await pass(60_000);
  expect(rung.length).toBe(2);
  expect(rung[1]).toMatch(/^back /);
});
