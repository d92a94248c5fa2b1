import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { InputWatch } from "../../../src/runtime/processes/input-watch.ts";
import type { InputWait } from "../../../src/runtime/sandbox/processes.ts";
import type { Sandbox } from "../../../src/runtime/sandbox/sandbox.ts";

const toFake = ["setTimeout", "clearTimeout", "performance"] as const;

// A look takes the time of these timers alone, however busy the machine is.
beforeEach(() => void vi.useFakeTimers({ toFake: [...toFake] }));
afterEach(() => void vi.useRealTimers());

const forever = new Promise<never>(() => undefined);

/** A watch over a VM whose looks find what `waits` returns. */
function watched(waits: () => InputWait[], listens = () => true) {
  const events: object[] = [];
  let looks = 0;
  const inputWaits = async () => {
    looks += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
    return waits();
  };
  const sandbox = { processes: { inputWaits } } as unknown as Sandbox;
  const watch = new InputWatch({
    liveSandbox: () => sandbox,
    hasListeners: listens,
    emit: (name, payload) => void events.push({ name, ...payload }),
  });
  return { watch, events, looks: () => looks };
}

test("output without end neither puts a look off nor makes looks more frequent than five a second", async () => {
  const { watch, looks } = watched(() => []);
  watch.add(7, null, forever);
  for (let ms = 0; ms < 10_000; ms += 1) {
    watch.touched();
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(looks()).toBeGreaterThan(40);
  expect(looks()).toBeLessThanOrEqual(50);
});

test("a program in which nothing happens is looked at every two seconds, and never without a subscriber", async () => {
  let listens = true;
  const { watch, looks } = watched(
    () => [],
    () => listens,
  );
  watch.add(7, null, forever);
  await vi.advanceTimersByTimeAsync(10_000);
  const before = looks();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(looks() - before).toBeLessThanOrEqual(10);
  listens = false;
  const seen = looks();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(looks()).toBe(seen);
  listens = true;
  watch.stop();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(looks()).toBe(seen);
});

test("a wait is reported once two looks have found it without a run in between, and its end", async () => {
  let wait: InputWait | undefined;
  const { watch, events } = watched(() => (wait === undefined ? [] : [wait]));
  watch.add(7, "shell-1", forever);
  // A program that wakes up all the time.
  for (let runs = 0; runs < 50; runs++) {
    wait = { pid: 9, command: "nano", of: 7, runs };
    await vi.advanceTimersByTimeAsync(200);
  }
  expect(events).toEqual([]);
  await vi.advanceTimersByTimeAsync(5_000);
  const told = { name: "waitingForInput", shellId: "shell-1", pid: 7 };
  expect(events).toEqual([{ ...told, waiting: true, waitingPid: 9, command: "nano" }]);
  wait = undefined;
  await vi.advanceTimersByTimeAsync(5_000);
  expect(events.slice(1)).toEqual([{ ...told, waiting: false }]);
});
