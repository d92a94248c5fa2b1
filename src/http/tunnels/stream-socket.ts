import { Duplex } from "node:stream";
import { PIECE_COST_BYTES } from "../../base/mux/join.ts";
import type { MuxStream } from "../../base/mux/stream.ts";
import type { OutsideSocket } from "../../runtime/network/outbound/connections.ts";

/** A stream of a tunnel with the members of a socket that the outbound gate and proxy use. */
export class StreamSocket extends Duplex implements OutsideSocket {
  bytesRead = 0;
  bytesWritten = 0;
  readonly #stream: MuxStream;
  /** Bytes that arrived and were not read. */
  #unread = 0;
  #written: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Gives back the room of bytes that were not read. */
  readonly #held: (() => void)[] = [];

  /** @param hold counts bytes that wait for the VM's program, and may reset the connection */
  constructor(stream: MuxStream, hold: (bytes: number) => () => void) {
    super({ allowHalfOpen: true });
    this.#stream = stream;
    stream.onData = (bytes) => {
      this.#held.push(hold(bytes.byteLength + PIECE_COST_BYTES));
      if (this.destroyed) return;
      this.#timer?.refresh();
      this.bytesRead += bytes.byteLength;
      this.#unread += bytes.byteLength;
      if (this.push(bytes)) this.#grant();
    };
    stream.onEnd = () => void this.push(null);
    stream.onWritable = () => this.#wrote();
    stream.onClosed = (wasReset) => {
      if (wasReset)
        this.destroy(Object.assign(new Error("the client has reset the connection"), { code: "ECONNRESET" }));
    };
    if (stream.isClosed) this.destroy();
  }

  override _read(): void {
    this.#grant();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#timer?.refresh();
    this.bytesWritten += chunk.byteLength;
    this.#written = done;
    if (this.#stream.write(chunk)) this.#wrote();
  }

  override _final(done: () => void): void {
    this.#stream.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#release();
    this.#stream.reset();
    done(error);
  }

  /** Like that of a socket: emits `timeout`. A metered socket passes no listener. */
  setTimeout(ms: number, late?: () => void): this {
    clearTimeout(this.#timer);
    this.#timer = ms > 0 ? setTimeout(() => this.emit("timeout"), ms).unref() : undefined;
    if (late !== undefined) this.once("timeout", late);
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  resetAndDestroy(): this {
    return this.destroy();
  }

  destroySoon(): void {
    this.end(() => this.destroy());
  }

  #release(): void {
    for (const release of this.#held.splice(0)) release();
  }

  #grant(): void {
    this.#release();
    const bytes = this.#unread;
    this.#unread = 0;
    if (bytes > 0) this.#stream.grant(bytes);
  }

  #wrote(): void {
    const done = this.#written;
    this.#written = undefined;
    done?.();
  }
}
