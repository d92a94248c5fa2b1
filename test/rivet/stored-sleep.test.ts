import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { deferred } from "../../src/base/deferred.ts";
import { sleepOnceStored } from "../../src/rivet/stored-sleep.ts";

/** RivetKit's actor, which counts its calls. */
class FakeActor {
  sleeps = 0;
  resets = 0;
  isStopping = false;

  startSleep(): void {
    this.sleeps += 1;
  }

  resetSleepTimer(): void {
    this.resets += 1;
  }
}

test("an actor falls asleep at once if there is room, and when its files are stored", async () => {
  const actor = new FakeActor();
  const stored = deferred<boolean>();
  let hasRoom = true;
  for (let load = 0; load < 2; load++) sleepOnceStored(actor, () => hasRoom || stored.promise);
  actor.startSleep();
  expect(actor.sleeps).toBe(1);
  hasRoom = false;
  actor.startSleep();
  expect(actor.sleeps).toBe(1);
  stored.resolve(true);
  await setImmediate();
  expect(actor.sleeps).toBe(2);
});

test.for([
  ["used", (actor: FakeActor) => actor.resetSleepTimer()],
  ["ended", (actor: FakeActor) => Object.assign(actor, { isStopping: true })],
] as const)("an actor that is %s while its files are stored is not put to sleep", async ([, meanwhile]) => {
  const actor = new FakeActor();
  const stored = deferred<boolean>();
  sleepOnceStored(actor, () => stored.promise);
  actor.startSleep();
  meanwhile(actor);
  stored.resolve(true);
  await setImmediate();
  expect(actor.sleeps).toBe(0);
});
