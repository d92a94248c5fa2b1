import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ActorAlarm } from "../../src/actors/actor-alarm.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Makes an actor that records every alarm of its schedule. */
function actorWith(alarms: number[] = []) {
  const asked: number[] = [];
  const actor = {
    state: { alarms },
    schedule: { at: async (timestampMs: number) => void asked.push(timestampMs) },
  };
  return { actor, asked, alarm: new ActorAlarm(actor) };
}

test("sets an alarm only if no earlier alarm is pending, also after a restart", async () => {
  const { actor, asked, alarm } = actorWith();
  await alarm.wakeAt(NOW + 5_000);
  await alarm.wakeAt(NOW + 5_000);
  await alarm.wakeAt(NOW + 9_000);
  await alarm.wakeAt(null);
  await alarm.wakeAt(NOW + 3_000);
  expect(asked).toEqual([NOW + 5_000, NOW + 3_000]);
  const again = actorWith(actor.state.alarms);
  await again.alarm.wakeAt(NOW + 4_000);
  expect(again.asked).toEqual([]);
});

test("sets an alarm again after it has rung", async () => {
  const { asked, alarm } = actorWith();
  await alarm.wakeAt(NOW + 1_000);
  vi.setSystemTime(NOW + 1_000);
  alarm.rang();
  // The clock is set back. An alarm that has rung does not ring again.
  vi.setSystemTime(NOW);
  await alarm.wakeAt(NOW + 2_000);
  expect(asked).toEqual([NOW + 1_000, NOW + 2_000]);
});

test("keeps few alarms although each request is earlier than the one before", async () => {
  const { asked, alarm } = actorWith();
  const year = 365 * 24 * 3_600_000;
  for (let step = 0; step < 100_000; step++) await alarm.wakeAt(NOW + year - step * 300_000);
  expect(asked.length).toBeLessThan(64);
  expect(Math.min(...asked)).toBeLessThanOrEqual(NOW + year - 99_999 * 300_000);
});
