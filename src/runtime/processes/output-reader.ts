import { within } from "../../base/within.ts";
import type { SandboxProcess } from "../sandbox/processes.ts";
import { MAX_UNREAD_OUTPUT_BYTES, READER_GONE_MS, REPLAY_CHUNK_BYTES } from "./limits.ts";

/**
 * Lets readers wait for a process, and the process wait for a slow reader that holds it, so that the reader misses no
 * output. A reader that has gone holds the process for READER_GONE_MS.
 */
export class OutputReader {
  readonly #process: Pick<SandboxProcess, "pauseOutput" | "resumeOutput">;
  /** Settles with the next output, or with the end. */
  #next: PromiseWithResolvers<void> | undefined;
  #unread = 0;
  #holding: NodeJS.Timeout | undefined;
  #isPaused = false;
  #hasEnded = false;

  constructor(process: Pick<SandboxProcess, "pauseOutput" | "resumeOutput">) {
    this.#process = process;
  }

  /** Makes the process wait for its reader from now on, which has all output until now. */
  hold(): void {
    this.release();
    if (!this.#hasEnded) this.#holding = setTimeout(() => this.release(), READER_GONE_MS).unref();
  }

  /** Lets the process go on without its reader. */
  release(): void {
    clearTimeout(this.#holding);
    this.#holding = undefined;
    this.#unread = 0;
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#process.resumeOutput();
  }

  published(bytes: number): void {
    this.#unread += bytes + REPLAY_CHUNK_BYTES;
    if (this.#holding !== undefined && !this.#isPaused && this.#unread > MAX_UNREAD_OUTPUT_BYTES) {
      this.#isPaused = true;
      this.#process.pauseOutput();
    }
    this.#wake();
  }

  ended(): void {
    this.#hasEnded = true;
    this.release();
    this.#wake();
  }

  /** Resolves with the next output or the end, after some milliseconds, or when the signal aborts. */
  async change(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms === 0 || this.#hasEnded || signal?.aborted) return;
    this.#next ??= Promise.withResolvers();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const stop = () => resolve();
    signal?.addEventListener("abort", stop);
    await within(Promise.race([this.#next.promise, aborted]), ms);
    signal?.removeEventListener("abort", stop);
  }

  #wake(): void {
    this.#next?.resolve();
    this.#next = undefined;
  }
}
