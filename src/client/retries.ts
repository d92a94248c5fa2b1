import { RECONNECT_TIMEOUT_MS } from "../api/limits.ts";
import { EndSignal } from "../base/end-signal.ts";
import { MAX_RECONNECT_DELAY_MS, RECONNECT_DELAY_MS } from "./limits.ts";
import { isTransient } from "./link.ts";
import { toAgentVmError } from "./rivet/errors.ts";

/** The attempts of a request that a broken connection may end. */
export class Retries {
  readonly #disposal: AbortSignal;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;
  #since = 0;

  /** @param client `disposal`: aborts when no attempt can succeed any more */
  constructor({ disposal }: { readonly disposal: AbortSignal }, signal: AbortSignal | undefined) {
    this.#disposal = disposal;
    this.#signal = signal;
  }

  /** Notes that the work has moved on: later failures begin to count again. */
  moved(): void {
    this.#failures = 0;
  }

  /**
   * Waits before the next attempt.
   *
   * @throws the signal's reason; the error, if another attempt cannot succeed or the server has been out of reach for too long
   */
  async after(error: unknown): Promise<void> {
    this.#signal?.throwIfAborted();
    const failure = toAgentVmError(error);
    if (this.#failures === 0) this.#since = Date.now();
    if (!isTransient(failure) || this.#disposal.aborted) throw failure;
    if (Date.now() - this.#since > RECONNECT_TIMEOUT_MS) throw failure;
    const delay = Math.min(RECONNECT_DELAY_MS * 2 ** this.#failures, MAX_RECONNECT_DELAY_MS);
    this.#failures += 1;
    const wait = new EndSignal([this.#signal]).after(delay * (0.5 + Math.random() / 2), () => undefined);
    await new Promise((resolve) => wait.signal.addEventListener("abort", resolve));
    wait.release();
    this.#signal?.throwIfAborted();
  }
}
