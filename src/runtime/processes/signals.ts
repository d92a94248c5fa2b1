import { invalidArgument } from "../../api/errors.ts";
import { MAX_SIGNAL, SIGNAL_NUMBERS, signalName } from "../../api/signals.ts";
import type { Signal } from "../../api/types.ts";

/** A signal's number from its number or its name, with or without SIG. 0 asks whether the process is there. */
export function toSignalNumber(signal: Signal): number {
  if (typeof signal === "string") {
    const name = signalName(signal);
    if (name !== undefined) return SIGNAL_NUMBERS[name];
  } else if (Number.isInteger(signal) && signal >= 0 && signal <= MAX_SIGNAL) {
    return signal;
  }
  throw invalidArgument("signal", `a signal's name or a number from 0 to ${MAX_SIGNAL}`, signal);
}
