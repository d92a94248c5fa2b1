import { writeSync } from "node:fs";
import type { Pty } from "./pty.ts";

/** Pause before input that the terminal did not take is offered again. */
const WRITE_RETRY_MS = 10;

/** What UnixTerminal has, and its public type leaves out. */
type UnixPty = Pty & { fd: number; _socket: { destroyed: boolean } };

/**
 * The server's end of a terminal: its input and its size. Written here and not by node-pty, which writes without a
 * bound and with the event loop stopped. But the descriptor is node-pty's, and it is closed before node-pty says so:
 * by then its number may be another VM's pipe. So each use asks first whether it is still open.
 */
export class TerminalEnd {
  readonly #pty: UnixPty;
  #input: Buffer[] = [];
  #pending = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(pty: Pty) {
    this.#pty = pty as UnixPty;
  }

  /** Bytes that the terminal has not taken yet. */
  get pending(): number {
    return this.#pending;
  }

  write(data: Uint8Array): void {
    if (!this.#isOpen || data.byteLength === 0) return;
    this.#input.push(Buffer.from(data));
    this.#pending += data.byteLength;
    if (this.#retry === undefined) this.#flush();
  }

  resize(cols: number, rows: number): void {
    if (this.#isOpen) this.#pty.resize(cols, rows);
  }

  /** Forgets what has not been taken. */
  close(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#input = [];
    this.#pending = 0;
  }

  /** A destroyed socket has closed its descriptor, or does so before anything else can run. */
  get #isOpen(): boolean {
    return !this.#pty._socket.destroyed;
  }

  #flush(): void {
    this.#retry = undefined;
    for (let next = this.#input[0]; next !== undefined; next = this.#input[0]) {
      const written = this.#offer(next);
      if (written === "full") {
        this.#retry = setTimeout(() => this.#flush(), WRITE_RETRY_MS);
        return;
      }
      if (written === "closed") {
        this.close();
        return;
      }
      this.#pending -= written;
      if (written === next.length) this.#input.shift();
      else this.#input[0] = next.subarray(written);
    }
  }

  /** Bytes that the terminal took. */
  #offer(data: Buffer): number | "full" | "closed" {
    if (!this.#isOpen) return "closed";
    try {
      return writeSync(this.#pty.fd, data);
    } catch (error) {
      // EIO: the terminal has been hung up.
      return (error as NodeJS.ErrnoException).code === "EAGAIN" ? "full" : "closed";
    }
  }
}
