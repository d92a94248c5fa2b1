import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DriverAlarms } from "../../src/rivet/driver-alarms.ts";
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

/** Starts a driver that stores alarms as RivetKit does. Its actors record in `rung` when they are rung. */
function startDriver(folder = join(root, String(folders++))) {
  mkdirSync(folder, { recursive: true });
  const rung: string[] = [];
  const ringAll = vi.fn();
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
  return { driver: new DriverAlarms(folder, ringAll).takeOver(driver), folder, rung, ringAll };
}

/** Encodes a version, a string and a number in BARE. */
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

/** Advances the clock and waits until the rung actors are done. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("rings each actor at its time and deletes its file if it sets no other alarm", async () => {
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

test("does not lose an alarm if a timer of Node fires a millisecond early", async () => {
  const { driver, rung } = startDriver();
  await driver.setAlarm({ id: "a" }, NOW + 1_000);
  vi.setSystemTime(NOW - 1);
  await pass(1_000);
  expect(rung).toEqual([]);
  await pass(1);
  expect(rung).toEqual(["a 1000"]);
});

test("rings the alarms of the previous server, overdue alarms at once", async () => {
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

test("tries again to wake an actor that did not start, but not a destroyed actor", async () => {
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

test("notices within a minute that the clock was set, forward or back", async () => {
  const { driver, rung, ringAll } = startDriver();
  await driver.setAlarm({ id: "ahead" }, NOW + 3_600_000);
  await pass(1);
  vi.setSystemTime(NOW + 7_200_000);
  await pass(60_000);
  expect(rung.length).toBe(1);
  expect(ringAll).not.toHaveBeenCalled();
  await driver.setAlarm({ id: "back" }, NOW + 9_000_000_000);
  vi.setSystemTime(NOW);
  await pass(60_000);
  expect(rung.length).toBe(2);
  expect(rung[1]).toMatch(/^back /);
  expect(ringAll).toHaveBeenCalledOnce();
});
