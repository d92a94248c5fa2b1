// @module-tag slow
import { expect, test, vi } from "vitest";
import { durableVm } from "../../../support/durable-vm.ts";
import { ask, open, withScripted } from "../../../support/scripted.ts";

const MIB = 1024 * 1024;

vi.mock("../../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../../src/runtime/sessions/limits.ts")>()),
  MAX_SESSION_EVENT_BYTES: 1024 * 1024,
}));

test("the server drops the oldest events above MAX_SESSION_EVENT_BYTES", async () => {
  const machine = durableVm(withScripted);
  const stored = async () => {
    const entries = await machine.store.list("session/");
    return entries.reduce((sum, [, { byteLength }]) => sum + byteLength, 0);
  };
  const id = await open(machine.vm(), "load");
  const numbers = async () =>
    (await machine.vm().getSequencedEvents(id)).map(({ sequenceNumber }) => sequenceNumber);
  for (const script of ["flood 12000 4000", "big 10000000; big 10000000; big 10000000"]) {
    await ask(machine.vm(), id, script);
    // The server drops 16 MiB at once.
    expect(await stored()).toBeLessThan(28 * MIB);
    const kept = await numbers();
    expect(kept[0]).toBeGreaterThan(0);
    expect(kept).toEqual(kept.map((_, index) => (kept[0] as number) + index));
    expect(kept.at(-1)).toBe((await machine.vm().getSession(id)).lastSequenceNumber);
    await machine.crash();
    expect(await numbers()).toEqual(kept);
  }
});
