import { readSync } from "node:fs";
import { Socket } from "node:net";

const READ_BYTES = 64 * 1024;

/**
 * Most that one drain takes. A pipe holds no more, in no more pieces (/proc/sys/fs/pipe-max-size, of pages), so that
 * all is there which was there when it began; what others write meanwhile could go on for ever.
 */
const MAX_DRAIN_BYTES = 1024 * 1024;
const MAX_DRAIN_READS = 256;

type Listener = (data: Buffer) => void;

/** Reads a pipe as data comes, and without waiting when asked to. Owns the descriptor. */
export class PipeReader {
  readonly #fd: number;
  readonly #socket: Socket;
  #buffer: Buffer | undefined;
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
        buffer: () => this.#readBuffer(),
        callback: (count) => {
          this.#deliver(this.#taken(count));
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

  /** Leaves in the pipe what comes from now on; `drain` takes it all the same. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Hands over everything that is in the pipe now. */
  drain(): void {
    let bytes = 0;
    for (let reads = 0; !this.#ended && reads < MAX_DRAIN_READS && bytes < MAX_DRAIN_BYTES; reads++) {
      let count: number;
      try {
        count = readSync(this.#fd, this.#readBuffer());
      } catch {
        // EAGAIN: the pipe is empty, though somebody may still write.
        return;
      }
      if (count === 0) {
        this.close();
        return;
      }
      bytes += count;
      this.#deliver(this.#taken(count));
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

  #readBuffer(): Buffer {
    this.#buffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
    return this.#buffer;
  }

  /** What has been read, the listener's to keep. Little is copied: it would hold on to all of a large buffer. */
  #taken(count: number): Buffer {
    const data = this.#readBuffer().subarray(0, count);
    if (count * 2 < READ_BYTES) return Buffer.from(data);
    this.#buffer = undefined;
    return data;
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
