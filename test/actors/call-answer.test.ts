import { expect, test } from "vitest";
import { CallAnswer } from "../../src/actors/call-answer.ts";
import type { CallSettledEvent } from "../../src/api/events.ts";
import { SocketTurns } from "../../src/rivet/socket-turns.ts";

const TICKET = { instanceId: "one" };
const outcomeOf = (output: unknown): CallSettledEvent => ({ callId: "a", outcome: { ok: true, output } });

/** A call that has begun, and its connection. */
function begun() {
  const told: CallSettledEvent[] = [];
  const answer = new CallAnswer({ id: "c", send: (_event, payload) => void told.push(payload) });
  return { told, answer, settle: (output: unknown) => answer.send("callSettled", outcomeOf(output)) };
}

test("a call that has ended answers with its outcome, and there is no event", async () => {
  const { told, answer, settle } = begun();
  settle(7);
  expect(await answer.over(TICKET)).toEqual({ ...TICKET, outcome: { ok: true, output: 7 } });
  expect(told).toEqual([]);
});

test("the answer waits for the outcome while the socket is quiet", async () => {
  const { told, answer, settle } = begun();
  const ticket = new SocketTurns().arrived(() => answer.over(TICKET));
  setImmediate(() => settle(7));
  expect(await ticket).toEqual({ ...TICKET, outcome: { ok: true, output: 7 } });
  expect(told).toEqual([]);
});

test("the next message of the socket ends the wait, and the outcome is an event", async () => {
  const { told, answer, settle } = begun();
  const socket = new SocketTurns();
  const ticket = socket.arrived(() => answer.over(TICKET));
  socket.arrived(() => undefined);
  expect(await ticket).toEqual(TICKET);
  settle(7);
  expect(told).toEqual([outcomeOf(7)]);
});

test("a message behind which another has arrived does not wait", async () => {
  const { answer } = begun();
  const socket = new SocketTurns();
  const first = socket.arrived(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return await answer.over(TICKET);
  });
  socket.arrived(() => undefined);
  expect(await first).toEqual(TICKET);
});

test("without a socket, and for a call that runs long, the answer does not wait for the outcome", async () => {
  expect(await begun().answer.over(TICKET)).toEqual(TICKET);
  const { answer } = begun();
  expect(await new SocketTurns().arrived(() => answer.over(TICKET))).toEqual(TICKET);
});

test("a large outcome is an event", async () => {
  const { told, answer, settle } = begun();
  const large = "x".repeat(70_000);
  settle(large);
  expect(await answer.over(TICKET)).toEqual(TICKET);
  expect(told).toEqual([outcomeOf(large)]);
});
