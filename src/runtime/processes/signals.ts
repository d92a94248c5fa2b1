import { constants } from "node:os";
import { invalidArgument } from "../../api/errors.ts";
import type { Signal } from "../../api/types.ts";

const HIGHEST_SIGNAL = 64;

/** A signal's number from its number or its name, with or without SIG. */
export function toSignalNumber(signal: Signal): number {
  if (typeof signal === "number" && Number.isInteger(signal) && signal > 0 && signal <= HIGHEST_SIGNAL)
    return signal;
  if (typeof signal === "string") {
    const name = signal.startsWith("SIG") ? signal : `SIG${signal}`;
    const number = (constants.signals as Record<string, number>)[name];
    if (number !== undefined) return number;
  }
  throw invalidArgument("signal", `a signal's name or a number from 1 to ${HIGHEST_SIGNAL}`, signal);
}
