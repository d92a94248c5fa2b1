import { MAX_ACKNOWLEDGED_CALLS } from "../api/limits.ts";

/** Milliseconds until the client acknowledges outcomes that no other message has acknowledged. */
const ACKNOWLEDGE_DELAY_MS = 100;

/** Keys of outcomes that have arrived and that the server still keeps. Each message to the server takes some along. */
export class Receipts {
  readonly #acknowledge: () => void;
  #keys: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param acknowledge sends the keys, as no other message has taken them along */
  constructor(acknowledge: () => void) {
    this.#acknowledge = acknowledge;
  }

  add(key: string): void {
    this.#keys.push(key);
    this.#timer ??= backgroundTimer(this.#acknowledge, ACKNOWLEDGE_DELAY_MS);
  }

  /** Removes and returns the keys that one message may carry. */
  take(): string[] {
    return this.#keys.splice(0, MAX_ACKNOWLEDGED_CALLS);
  }

  /** Like `take`, for the message that the timer would send. */
  takeLast(): string[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.take();
  }

  /** Keeps the keys of a message that was lost. */
  putBack(keys: readonly string[]): void {
    this.#keys.push(...keys);
  }
}

/** Sets a timer that does not keep a Node process alive. */
export function backgroundTimer(run: () => void, ms: number): ReturnType<typeof setTimeout> {
  const timer = setTimeout(run, ms);
  if (typeof timer === "object") timer.unref();
  return timer;
}
