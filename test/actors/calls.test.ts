import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type CallLimits, CallTable } from "../../src/actors/calls.ts";
import type { CallSettledEvent } from "../../src/api/events.ts";
import { MAX_RESULT_BYTES } from "../../src/api/limits.ts";
import type { CallOutcome } from "../../src/api/methods/transport.ts";
import { FairPool } from "../../src/base/fair-pool.ts";
import { quietFor } from "../support/until.ts";

/** Makes a connection that records the outcomes that it receives. */
function connection(id = "one") {
  const told: CallSettledEvent[] = [];
  return { id, told, send: (_event: "callSettled", payload: CallSettledEvent) => void told.push(payload) };
}

function table(limits: Partial<CallLimits> = {}) {
  const kept: Promise<unknown>[] = [];
  return { calls: new CallTable({ keepAwake: (work) => kept.push(work), limits }), kept };
}

const request = (callId: string, more: object = {}) => ({ callId, action: "exec", args: [], ...more });
const done = (output: unknown) => async (): Promise<CallOutcome> => ({ ok: true, output });
const settled = () => new Promise((resolve) => setImmediate(resolve));
const codeOf = ({ outcome }: CallSettledEvent): string => (outcome.ok ? "ok" : outcome.error.code);

test("sends the outcome of a call to the connection that began it", async () => {
  const { calls } = table();
  const one = connection();
  expect(calls.begin(one, request("a"), done(7))).toEqual({
    instanceId: calls.instanceId,
    answers: true,
    together: true,
  });
  await settled();
  expect(one.told).toEqual([{ callId: "a", outcome: { ok: true, output: 7 } }]);
});

test("a result too deep to be measured ends the call with an error", async () => {
  const { calls } = table();
  const one = connection();
  let deep: unknown = 0;
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  calls.begin(one, request("a"), done(deep));
  await settled();
  expect(one.told.map(codeOf)).toEqual(["internal_error"]);
});

test("a repeated key joins the running call", async () => {
  const { calls } = table();
  const [one, two] = [connection("one"), connection("two")];
  const run = vi.fn(done(7));
  calls.begin(one, request("a"), run);
  calls.begin(two, request("a"), run);
  await settled();
  expect(run).toHaveBeenCalledTimes(1);
  expect(two.told).toEqual(one.told);
});

test("a connection that repeats the key of a running call receives its outcome once", async () => {
  const { calls } = table();
  const { promise, resolve } = Promise.withResolvers<CallOutcome>();
  const [first, again] = [connection(), connection()];
  calls.begin(first, request("a"), () => promise);
  for (let count = 0; count < 100; count++) calls.begin(again, request("a"), done("never"));
  resolve({ ok: true, output: 7 });
  await settled();
  expect([...first.told, ...again.told]).toEqual([{ callId: "a", outcome: { ok: true, output: 7 } }]);
});

test("a repeated key of an ended call receives the first outcome", async () => {
  const { calls } = table();
  const run = vi.fn(done(7));
  calls.begin(connection(), request("a"), run);
  await settled();
  const two = connection("two");
  calls.begin(two, request("a"), run);
  expect(run).toHaveBeenCalledTimes(1);
  expect(two.told).toEqual([{ callId: "a", outcome: { ok: true, output: 7 } }]);
});

test("a call without a connection keeps running, and the client's next connection receives its outcome", async () => {
  const { calls, kept } = table();
  const one = connection("one");
  const { promise, resolve } = Promise.withResolvers<CallOutcome>();
  calls.begin(one, request("a"), () => promise);
  calls.disconnected("one");
  resolve({ ok: true, output: 7 });
  await Promise.all(kept);
  expect(one.told).toEqual([]);
  const two = connection("two");
  calls.begin(two, request("a"), done("never"));
  expect(two.told).toEqual([{ callId: "a", outcome: { ok: true, output: 7 } }]);
});

test("an abandoned call gets its signal at once, and its outcome is still sent", async () => {
  const { calls, kept } = table();
  const one = connection();
  const run = (gone: AbortSignal) =>
    new Promise<CallOutcome>((resolve) => {
      gone.addEventListener("abort", () => resolve({ ok: true, output: "given up" }));
    });
  calls.begin(one, request("a"), run);
  calls.abandon("unknown");
  calls.abandon("a");
  await Promise.all(kept);
  expect(one.told).toEqual([{ callId: "a", outcome: { ok: true, output: "given up" } }]);
  calls.abandon("a");
});

test("a running call keeps the VM awake", async () => {
  const { calls, kept } = table();
  const { promise, resolve } = Promise.withResolvers<CallOutcome>();
  calls.begin(connection(), request("a"), () => promise);
  expect(kept).toHaveLength(1);
  let awake = true;
  void kept[0]?.then(() => {
    awake = false;
  });
  await settled();
  expect(awake).toBe(true);
  resolve({ ok: true, output: 1 });
  await settled();
  expect(awake).toBe(false);
});

test("a call that another instance began is lost, and does not run", async () => {
  const { calls } = table();
  const one = connection();
  const run = vi.fn(done(7));
  calls.begin(one, request("a", { instanceId: "an earlier one" }), run);
  await settled();
  expect(run).not.toHaveBeenCalled();
  expect(one.told.map(codeOf)).toEqual(["call_lost"]);
});

test("an outcome above the size of a message becomes response_too_large", async () => {
  const { calls } = table();
  const one = connection();
  calls.begin(one, request("a"), done(new Uint8Array(MAX_RESULT_BYTES)));
  await settled();
  expect(one.told.map(codeOf)).toEqual(["response_too_large"]);
});

test("an outcome that the connection cannot carry becomes response_too_large", async () => {
  const { calls } = table();
  const one = connection();
  const send = one.send;
  one.send = (event, payload) => {
    if (payload.outcome.ok) throw new Error("outgoing_too_long");
    send(event, payload);
  };
  calls.begin(one, request("a"), done("x"));
  await settled();
  expect(one.told.map(codeOf)).toEqual(["response_too_large"]);
});

test("outcomes of all VMs are bounded: the VM with the most loses its oldest, and no other VM", async () => {
  const pool = new FairPool(1000);
  const tableOf = () => new CallTable({ keepAwake: () => undefined, pool });
  const [witness, loud] = [tableOf(), tableOf()];
  witness.begin(connection(), request("w"), done("x".repeat(50)));
  await settled();
  for (let call = 0; call < 20; call++) loud.begin(connection(), request(`c${call}`), done("x".repeat(50)));
  await settled();
  expect(pool.bytes).toBeLessThanOrEqual(1000);
  expect(pool.bytes).toBe(witness.bytes + loud.bytes);
  const again = connection();
  witness.begin(again, request("w"), done("again"));
  loud.begin(again, request("c0"), done("again"));
  loud.begin(again, request("c19"), done("again"));
  expect(again.told.map(codeOf)).toEqual(["ok", "call_lost", "ok"]);
  for (const table of [witness, loud]) table.dispose();
  expect(pool.bytes).toBe(0);
});

test("a call that ends after its VM leaves nothing behind", async () => {
  const pool = new FairPool(1000);
  const calls = new CallTable({ keepAwake: () => undefined, pool });
  const one = connection();
  calls.begin(one, request("a"), done("x"));
  calls.dispose();
  await settled();
  expect(one.told).toHaveLength(1);
  expect(pool.bytes).toBe(0);
});

describe("forgets", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  test("an acknowledged outcome, whether acknowledged alone or with the next call", async () => {
    const { calls } = table({ keptBytes: 1000 });
    calls.begin(connection(), request("a"), done("x"));
    calls.begin(connection(), request("b"), done("x"));
    await settled();
    calls.acknowledge(["a"]);
    calls.begin(connection(), request("c", { received: ["b"] }), done("x"));
    const run = vi.fn(done("again"));
    calls.begin(connection(), request("a"), run);
    calls.begin(connection(), request("b"), run);
    expect(run).toHaveBeenCalledTimes(2);
  });

  test("an expired outcome, whose key never runs again", async () => {
    const { calls } = table({ retentionMs: 1000 });
    calls.begin(connection(), request("a"), done("x"));
    await settled();
    vi.advanceTimersByTime(2000);
    const one = connection();
    const run = vi.fn(done("again"));
    calls.begin(one, request("a"), run);
    expect(run).not.toHaveBeenCalled();
    expect(one.told.map(codeOf)).toEqual(["call_lost"]);
  });

  test("the oldest outcomes when the outcomes take too much memory", async () => {
    const { calls } = table({ keptBytes: 2500 });
    for (const id of ["a", "b", "c"]) calls.begin(connection(), request(id), done(new Uint8Array(1000)));
    await settled();
    const one = connection();
    for (const id of ["a", "b", "c"]) calls.begin(one, request(id), done("again"));
    expect(one.told.map(codeOf)).toEqual(["call_lost", "ok", "ok"]);
  });

  test("the oldest outcomes when there are too many calls, but no running call", async () => {
    const { calls } = table({ calls: 2 });
    calls.begin(connection(), request("a"), done(1));
    await settled();
    const never = () => new Promise<CallOutcome>(() => undefined);
    calls.begin(connection(), request("b"), never);
    calls.begin(connection(), request("c"), never);
    const one = connection();
    calls.begin(one, request("a"), done("again"));
    calls.begin(one, request("d"), done("too many"));
    expect(one.told.map(codeOf)).toEqual(["call_lost", "limit_exceeded"]);
  });
});

test("a call gets its signal when its connections have closed and no connection comes back", async () => {
  const { calls } = table({ abandonMs: 20 });
  const [one, two] = [connection("one"), connection("two")];
  let gone: AbortSignal | undefined;
  const endless = (signal: AbortSignal) => {
    gone = signal;
    return new Promise<CallOutcome>(() => undefined);
  };
  calls.begin(one, request("a"), endless);
  calls.disconnected("one");
  calls.begin(two, request("a"), endless);
  await quietFor(50);
  expect(gone?.aborted).toBe(false);
  calls.disconnected("two");
  await expect.poll(() => gone?.aborted).toBe(true);
});

test("a call that the last instance never began runs on the next, and any other call of it is lost", async () => {
  const last = table().calls;
  let finish: () => void = () => undefined;
  const running = new Promise<CallOutcome>((resolve) => {
    finish = () => resolve({ ok: true, output: null });
  });
  last.begin(connection(), request("running"), () => running);
  last.begin(connection(), request("done"), done(1));
  last.begin(connection(), request("acknowledged"), done(2));
  await settled();
  last.acknowledge(["acknowledged"]);
  const { instanceId } = last;
  const next = new CallTable({ keepAwake: () => undefined, mayMove: true, before: last.ended() });
  const after = connection();
  for (const callId of ["running", "done", "new"])
    next.begin(after, request(callId, { instanceId }), done(3));
  next.begin(after, request("older", { instanceId: "another" }), done(3));
  await settled();
  expect(after.told.map((event) => [event.callId, codeOf(event)])).toEqual([
    ["running", "call_lost"],
    ["done", "call_lost"],
    ["older", "call_lost"],
    ["new", "ok"],
  ]);
  finish();
});

test("a call that never began runs on the instance after several that ended soon, and none runs twice", async () => {
  const tableAfter = (before: CallTable) =>
    new CallTable({ keepAwake: () => undefined, mayMove: true, before: before.ended() });
  const first = table().calls;
  const { instanceId } = first;
  first.begin(connection(), request("begun by the first"), done(1));
  const second = tableAfter(first);
  second.begin(connection(), request("begun by the second", { instanceId }), done(2));
  await settled();
  const fourth = tableAfter(tableAfter(second));
  const after = connection();
  for (const callId of ["begun by the first", "begun by the second", "new"])
    fourth.begin(after, request(callId, { instanceId }), done(3));
  await settled();
  expect(after.told.map((event) => [event.callId, codeOf(event)])).toEqual([
    ["begun by the first", "call_lost"],
    ["begun by the second", "call_lost"],
    ["new", "ok"],
  ]);
});

test("knows the calls of earlier instances also after the actor's state has dropped its note", () => {
  const first = new CallTable({ keepAwake: () => undefined, mayMove: true });
  const second = new CallTable({ keepAwake: () => undefined, mayMove: true, before: first.ended() });
  // RivetKit watches objects of the state, and throws for a nested object that the state no longer has.
  const { proxy: note, revoke } = Proxy.revocable(second.ended()!, {});
  const third = new CallTable({ keepAwake: () => undefined, mayMove: true, before: note });
  revoke();
  expect(third.isLeftOver(request("a", { instanceId: first.instanceId }))).toBe(true);
  expect(third.ended()?.earlier).toEqual([second.instanceId, first.instanceId]);
});
