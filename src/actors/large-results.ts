import { setImmediate } from "node:timers/promises";
import { AgentVmError, responseTooLarge } from "../api/errors.ts";
import { MAX_JSON_ESCAPES, MAX_RESULT_BYTES } from "../api/limits.ts";
import { isVmMethodName } from "../api/methods/table.ts";
import { fitsWire, leastSize, wireSize } from "../api/size.ts";
import { isClientCall } from "../rivet/actions.ts";
import { jsonSize } from "../rivet/json-size.ts";
import { type Outlet, outletOf } from "../rivet/outlets.ts";
import type { CallConnection } from "./calls.ts";
import type { VmContext } from "./context.ts";
import { asRunning } from "./drain.ts";

/** Results whose encoding takes a good part of a turn of the event loop, in bytes. */
const LARGE_RESULT_BYTES = 2 * 1024 * 1024;

/** Results that are encoded at once, and that JSON cannot make too large. */
const SMALL_JSON_BYTES = 512 * 1024;

/** The turn of the last large result. */
let turn: Promise<void> = Promise.resolve();

/** Measures a result. A large result gets a turn of the event loop of its own for its encoding. */
export async function measured(result: unknown): Promise<number> {
  const bytes = wireSize(result);
  if (bytes > LARGE_RESULT_BYTES && bytes <= MAX_RESULT_BYTES) {
    turn = turn.then(() => setImmediate());
    await turn;
  }
  return bytes;
}

/** Returns the outlet of the client of a call. It closes when the client leaves, and then encodes nothing. */
export function outletFor(c: VmContext): Outlet | undefined {
  return isClientCall(c) ? outletOf(c.conn.state.outlet) : undefined;
}

/**
 * Encodes a large result for the client of a call, in turns of the event loop.
 *
 * @param outlet outlet of the client when the call began: without it RivetKit would encode the result for a client that has left, at once
 * @param size the result's `leastSize`
 * @returns the value to send in its place
 * @throws AgentVmError `response_too_large`, `connection_lost`
 */
export async function encodedAhead(
  action: string,
  result: unknown,
  outlet: Outlet | undefined,
  size: number = outlet === undefined ? 0 : leastSize(result),
): Promise<unknown> {
  if (outlet === undefined || size <= SMALL_JSON_BYTES) return result;
  // A method's result is made for the call. An own action may return what other calls change.
  const isLive = !isVmMethodName(action);
  return await outlet.put(result, action, { isLive, size });
}

/** Returns the connection of a client, for outcomes of an action, of any size. */
export function receiverOf(c: VmContext, action: string): CallConnection {
  const { conn } = c;
  return {
    id: conn.id,
    async send(event, payload) {
      const { outcome } = payload;
      const size = outcome.ok ? leastSize(outcome.output) : 0;
      if (!outcome.ok || size <= SMALL_JSON_BYTES) return conn.send(event, payload);
      // The call itself has ended, and a server that drains would not wait for its outcome.
      const output = await asRunning(c.vars.instance, () =>
        encodedAhead(action, outcome.output, outletFor(c), size),
      );
      conn.send(event, { ...payload, outcome: { ...outcome, output } });
    },
  };
}

/**
 * Checks that a result can be sent as JSON. JSON has six bytes for some characters, and writing them would hold the event loop.
 *
 * @throws AgentVmError `response_too_large`
 */
export async function assertJson(action: string, result: unknown): Promise<void> {
  if (fitsWire(result, SMALL_JSON_BYTES)) return;
  const instead = "Ask for it in parts, or with the encoding bare or cbor.";
  const { bytes, escapes } = await jsonSize(result, { bytes: MAX_RESULT_BYTES, escapes: MAX_JSON_ESCAPES });
  if (bytes > MAX_RESULT_BYTES) throw responseTooLarge(action, bytes, MAX_RESULT_BYTES, instead);
  if (escapes > MAX_JSON_ESCAPES) {
    throw new AgentVmError(
      "response_too_large",
      `The result of ${action} has more characters that JSON escapes than one message carries (MAX_JSON_ESCAPES = ${MAX_JSON_ESCAPES}). ${instead}`,
      { action, maximum: MAX_JSON_ESCAPES },
    );
  }
}
