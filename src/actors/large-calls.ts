import { setImmediate } from "node:timers/promises";
import { wireSize } from "../api/size.ts";

/** Arguments whose decoding takes a good part of a turn of the event loop, in bytes. */
const LARGE_CALL_BYTES = 2 * 1024 * 1024;

let turn: Promise<void> | undefined;

/**
 * Ends the turn of the event loop in which a large message was decoded, before the call uses its content. Calls that arrive
 * meanwhile wait too, so that all calls keep their order.
 *
 * @returns `undefined` if the call may go on at once
 */
export function turnAfter(args: readonly unknown[]): Promise<void> | undefined {
  if (turn === undefined && wireSize(args) > LARGE_CALL_BYTES) {
    turn = setImmediate().then(() => {
      turn = undefined;
    });
  }
  return turn;
}
