import { AsyncLocalStorage } from "node:async_hooks";
import { within } from "../base/within.ts";

/** Small messages that are not counted: some of them, such as subscriptions, have no answer. */
const SMALL_MESSAGES_BYTES = 128 * 1024;

/** Memory of a message that waits, besides its bytes. */
const MESSAGE_COST_BYTES = 1024;

/** The messages of one WebSocket. */
export class SocketTurns {
  #arrived = 0;
  #onNext: (() => void) | undefined;
  /** Bytes of messages that nothing has begun to answer, by their number, oldest first. */
  readonly #waiting = new Map<number, number>();
  #largeBytes = 0;
  #smallBytes = 0;

  /** Bytes of messages that wait for the messages before them. */
  get waitingBytes(): number {
    return this.#largeBytes + (this.#smallBytes > SMALL_MESSAGES_BYTES ? this.#smallBytes : 0);
  }

  /** A message has arrived. @param handle hands it to the code that answers it @param bytes size of the message */
  arrived<Result>(handle: () => Result, bytes = 0): Result {
    this.#arrived += 1;
    const number = this.#arrived;
    this.#waiting.set(number, bytes);
    this.#count(bytes, 1);
    this.#onNext?.();
    return turns.run({ of: this, number }, handle);
  }

  /** The answer to a message has begun, and that of each message before it. */
  began(number: number): void {
    for (const [waiting, bytes] of this.#waiting) {
      if (waiting > number) return;
      this.#waiting.delete(waiting);
      this.#count(bytes, -1);
    }
  }

  #count(bytes: number, messages: 1 | -1): void {
    if (bytes > SMALL_MESSAGES_BYTES) this.#largeBytes += messages * bytes;
    else this.#smallBytes += messages * (bytes + MESSAGE_COST_BYTES);
  }

  /** The server has sent something over the WebSocket, which may be the answer to the current message. */
  sent(): void {
    const turn = turns.getStore();
    if (turn?.of === this) this.began(turn.number);
  }

  /** Calls back once when a message after this one has arrived. @returns `false` if one has arrived already */
  onNext(number: number, callback: () => void): boolean {
    if (number !== this.#arrived) return false;
    this.#onNext = () => {
      this.#onNext = undefined;
      callback();
    };
    return true;
  }
}

const turns = new AsyncLocalStorage<{ of: SocketTurns; number: number }>();

/** The current message is being answered. Its call counts its arguments. */
export function beginAnswer(): void {
  const turn = turns.getStore();
  turn?.of.began(turn.number);
}

/**
 * Waits for a promise while no further message has arrived over the WebSocket of the current message. Resolves at once for any
 * other message.
 *
 * For RivetKit 2.2, which handles the messages of a connection one after the other.
 *
 * @param limitMs longest wait
 */
export async function whileQuiet(work: Promise<unknown>, limitMs: number): Promise<void> {
  const turn = turns.getStore();
  if (turn === undefined) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  if (!turn.of.onNext(turn.number, resolve)) return;
  await within(Promise.race([work, promise]), limitMs);
}
