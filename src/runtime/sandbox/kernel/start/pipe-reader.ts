import { readSync } from "node:fs";
import { Socket } from "node:net";

const READ_BYTES = 64 * 1024;

type Listener = (data: Buffer) => void;

/** Reads a pipe as data comes, and without waiting when asked to. Owns the descriptor. */
export class PipeReader {
  readonly #fd: number;
  readonly #socket: Socket;
  #early: Buffer[] = [];
  #listener: Listener | undefined;
  #onEnd: (() => void) | undefined;
  #ended = false;

  constructor(fd: number) {
    this.#fd = fd;
    // `onread` hands data over in the same turn in which it was read: nothing waits in a stream's buffer when drain()
    // reads past it.
    this.#socket = new Socket({
      fd,
      readable: true,
      writable: false,
      onread: {
        buffer: () => Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (count, buffer) => {
          this.#deliver(Buffer.from(buffer.buffer, buffer.byteOffset, count));
          return true;
        },
      },
    });
    this.#socket.on("end", () => this.#end());
    this.#socket.on("close", () => this.#end());
    // A pipe of ours cannot fail but by being closed, which "close" tells.
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.resume();
  }

  /** `true` once every writer has gone, or it was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  listen(listener: Listener): void {
    this.#listener = listener;
    for (const data of this.#early) listener(data);
    this.#early = [];
  }

  onEnd(listener: () => void): void {
    if (this.#ended) listener();
    else this.#onEnd = listener;
  }

  /** Hands over everything that is in the pipe now. */
  drain(): void {
    while (!this.#ended) {
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      let count: number;
      try {
        count = readSync(this.#fd, buffer);
      } catch {
        // EAGAIN: the pipe is empty, though somebody may still write.
        return;
      }
      if (count === 0) {
        this.close();
        return;
      }
      this.#deliver(buffer.subarray(0, count));
    }
  }

  /** Reads on and throws away what comes, so that whoever still writes neither blocks nor dies of SIGPIPE. */
  discard(): void {
    this.#listener = () => undefined;
  }

  close(): void {
    this.#end();
    this.#socket.destroy();
  }

  /** Nothing is read before the command runs, and whoever started it listens in the same turn. */
  #deliver(data: Buffer): void {
    if (this.#listener === undefined) this.#early.push(data);
    else this.#listener(data);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd?.();
  }
}
