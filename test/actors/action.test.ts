// @module-tag attack
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { VM_ACTIONS } from "../../src/actors/action.ts";
import { CallTable } from "../../src/actors/calls.ts";
import type { VmContext } from "../../src/actors/context.ts";
import { currentCaller } from "../../src/base/caller.ts";

const CALLS = 24;

test("calls that begin after their connection has closed are abandoned like those before", async () => {
  const running: Promise<unknown>[] = [];
  const signals: (AbortSignal | undefined)[] = [];
  const calls = new CallTable({ keepAwake: (work) => running.push(work), limits: { abandonMs: 20 } });
  const vm = {
    waitForPort: () => {
      const { gone } = currentCaller();
      signals.push(gone);
      return new Promise((_resolve, reject) => gone?.addEventListener("abort", () => reject(gone.reason)));
    },
  };
  const conn = { id: "one", state: {}, send: () => undefined };
  const conns = new Map([[conn.id, conn]]);
  const access = { check: () => undefined, checkEnd: () => undefined, grantOf: () => ({}), whoIs: () => "" };
  const monitor = {
    log: { error: () => undefined },
    called: () => undefined,
    traced: (_name: string, work: () => unknown) => work(),
  };
  const instance = {
    calls,
    monitor,
    vm,
    held: { hold: () => ({ release: () => undefined, changed: () => undefined }) },
    used: () => undefined,
  };
  const c = { conn, conns, vars: { access, instance, own: { parts: {} } } } as unknown as VmContext;
  const requests = Array.from({ length: CALLS }, (_, index) => ({
    callId: `${index}`,
    action: "waitForPort",
    args: [9999],
  }));
  const begun = VM_ACTIONS.beginCalls(c as never, requests);
  while (signals.length === 0) await nextTurn();
  expect(signals.length).toBeLessThan(CALLS);
  conns.delete(conn.id);
  calls.disconnected(conn.id);
  await begun;
  await Promise.all(running);
  expect(signals.map((signal) => signal?.aborted)).toEqual(Array(CALLS).fill(true));
});
