import type { OnReadOpts, Socket } from "node:net";

/** Bytes of one read. */
const BUFFER_BYTES = 256 * 1024;

/** Buffers that are kept for the next reads, of all connections. */
const MAX_FREE = 8;
const free: Buffer[] = [];

/**
 * Writes the bytes of an outside connection into a program's socket, without a buffer of their own for each read: at 100 MB
 * garbage collection took more time than the relay itself. One read waits for the one before it.
 */
export class Sink {
  readonly #inside: Socket;
  #outside: Socket | undefined;
  #buffer: Buffer | undefined;

  constructor(inside: Socket) {
    this.#inside = inside;
  }

  /** Whether a connection writes into the socket. */
  get isUsed(): boolean {
    return this.#outside !== undefined;
  }

  /** Option of `connect`. */
  readonly onread: OnReadOpts = {
    buffer: () => {
      this.#buffer ??= free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
      return this.#buffer;
    },
    callback: (count, bytes) => this.#write(Buffer.from(bytes.buffer, bytes.byteOffset, count)),
  };

  /** Names the connection that has the option. */
  takes(outside: Socket): void {
    this.#outside = outside;
    outside.once("end", () => this.#inside.end());
    outside.once("close", () => this.#giveBack());
  }

  /** @returns whether the next read may begin */
  #write(bytes: Buffer): boolean {
    const inside = this.#inside;
    if (inside.destroyed) return false;
    let isWritten = false;
    inside.write(bytes, () => {
      if (isWritten) return;
      isWritten = true;
      this.#outside?.resume();
    });
    // The kernel has taken all bytes.
    isWritten = inside.writableLength === 0;
    return isWritten;
  }

  /** The socket may still be writing from the buffer of a connection that is cut. Such a buffer is not used again. */
  #giveBack(): void {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    if (buffer !== undefined && this.#inside.writableLength === 0 && free.length < MAX_FREE)
      free.push(buffer);
  }
}
