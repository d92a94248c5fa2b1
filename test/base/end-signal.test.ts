import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { EndSignal } from "../../src/base/end-signal.ts";

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

const listeners = (...owners: AbortController[]) =>
  owners.map(({ signal }) => getEventListeners(signal, "abort").length);

test("aborts with the reason of the first signal that aborts", () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const { signal } = new EndSignal([undefined, one.signal, null, other.signal]);
  expect(signal.aborted).toBe(false);
  other.abort("other");
  one.abort("one");
  expect(signal.reason).toBe("other");
});

test("is aborted from the start if one of the signals is", () => {
  const { signal } = new EndSignal([new AbortController().signal, AbortSignal.abort("gone")]);
  expect(signal.reason).toBe("gone");
});

test("makes the reason out of the signal that has aborted", () => {
  const owner = new AbortController();
  const { signal } = new EndSignal([owner.signal], ({ reason }) => `because of ${reason}`);
  owner.abort("rain");
  expect(signal.reason).toBe("because of rain");
});

test("aborts after a time", async () => {
  const { signal } = new EndSignal([]).after(5, () => "late");
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  expect(signal.reason).toBe("late");
});

test.each([
  ["ends", async () => "done", "done"],
  ["fails", () => Promise.reject(new Error("broken")), "Error: broken"],
])("leaves nothing at the signals, and no timer, when the work %s", async (_how, work, outcome) => {
  const owners = [new AbortController(), new AbortController()];
  const before = timers();
  const end = new EndSignal(owners.map(({ signal }) => signal)).after(60_000, () => "late");
  expect(listeners(...owners)).toEqual([1, 1]);
  expect(await end.during(work).catch(String)).toBe(outcome);
  expect(listeners(...owners)).toEqual([0, 0]);
  expect(timers()).toBe(before);
});
