import { deferred } from "../../base/deferred.ts";

/**
 * Output that a stream holds for its reader.
 * @unit bytes
 */
const HELD_BYTES = 16 * 1024 * 1024;

/**
 * Bytes of a command as a stream. A reader that is slow makes the command wait. Without a reader the command goes on, and the
 * stream holds only the first 16 MiB.
 */
export class OutputStream {
  readonly stream: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #room = deferred<void>();
  #failed: { controller: ReadableStreamDefaultController<Uint8Array>; error: unknown } | undefined;
  #lost = 0;
  #isFree = false;

  constructor() {
    const release = () => {
      this.#room.resolve();
      this.#room = deferred();
    };
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          release();
          this.#raise();
        },
        cancel: () => {
          this.#controller = undefined;
          this.#failed = undefined;
          release();
        },
      },
      { highWaterMark: HELD_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  /** Resolves when the stream has room for more. */
  async write(data: Uint8Array): Promise<void> {
    while (this.#isFull && this.stream.locked && !this.#isFree) await this.#room.promise;
    if (this.#isFull || this.#lost > 0) this.#lost += data.byteLength;
    else this.#controller?.enqueue(data);
  }

  get #isFull(): boolean {
    const controller = this.#controller;
    return controller !== undefined && (controller.desiredSize ?? 0) <= 0;
  }

  /** Lets the command go on without its reader, because it is being killed. */
  free(): void {
    this.#isFree = true;
    this.#room.resolve();
  }

  /** Ends the stream after the output that it holds. */
  end(): void {
    if (this.#lost > 0) {
      this.fail(new Error(`The stream was not read, and ${this.#lost} bytes of output were dropped`));
      return;
    }
    this.#controller?.close();
    this.#controller = undefined;
  }

  /** Ends the stream with an error, after the output that it holds. */
  fail(error: unknown): void {
    if (this.#controller !== undefined) this.#failed = { controller: this.#controller, error };
    this.#controller = undefined;
    this.#room.resolve();
    this.#raise();
  }

  /** Raises the error of a stream that holds no output: an error discards what a stream holds. */
  #raise(): void {
    if (this.#failed?.controller.desiredSize !== HELD_BYTES) return;
    this.#failed.controller.error(this.#failed.error);
    this.#failed = undefined;
  }
}
