import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { HeldInput } from "./stdin-store.ts";

/** Writes to a command's stdin. Owns the descriptor, and the input that the command has not read. */
export class StdinWriter {
  readonly #fd: number;
  readonly #socket: Socket | undefined;
  /** Input that the pipe has not taken. The socket has parts of the first. */
  readonly #input: HeldInput[] = [];
  #pending = 0;
  #isWriting = false;
  #isEnding = false;

  /** @param fd none for a command without stdin, or whose pipe is lost */
  constructor(fd?: number) {
    this.#fd = fd ?? -1;
    if (fd === undefined) return;
    const socket = new Socket({ fd, readable: false, writable: true });
    // EPIPE: nobody reads it any more. As in a shell pipeline, that is the writer's end and no failure of the command.
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#release());
    this.#socket = socket;
  }

  /** Bytes that the command has not read yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether the command can get further input. */
  get isOpen(): boolean {
    return this.#socket?.writable === true && !this.#isEnding;
  }

  /** Name of the pipe in /proc/PID/fd; `undefined` once it is closed. */
  get name(): string | undefined {
    return this.isOpen ? `pipe:[${fstatSync(this.#fd).ino}]` : undefined;
  }

  /** @param hold takes input that needs a place of its own */
  write(data: Uint8Array, hold: (data: Uint8Array) => HeldInput): void {
    if (!this.isOpen || data.byteLength === 0) return;
    if (this.#input.at(-1)?.append(data)) this.#pending += data.byteLength;
    else this.add(hold(data));
  }

  /** Writes input that is held already, and releases it. */
  add(held: HeldInput): void {
    if (!this.isOpen) {
      held.release();
      return;
    }
    this.#input.push(held);
    this.#pending += held.rest;
    if (!this.#isWriting) this.#writeNext();
  }

  /** The command sees the end of its input after what was written. */
  end(): void {
    if (!this.isOpen) return;
    this.#isEnding = true;
    if (!this.#isWriting) this.#endNow();
  }

  close(): void {
    this.#socket?.destroy();
    this.#release();
  }

  #writeNext(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    for (let first = this.#input[0]; first !== undefined; first = this.#input[0]) {
      const part = first.next();
      if (part !== undefined) {
        this.#isWriting = true;
        socket.write(part, () => {
          // A socket that has failed has released everything.
          if (socket.destroyed) return;
          this.#isWriting = false;
          this.#pending -= part.byteLength;
          this.#writeNext();
        });
        return;
      }
      this.#input.shift();
      first.release();
    }
    if (this.#isEnding) this.#endNow();
  }

  #endNow(): void {
    const socket = this.#socket;
    socket?.end(() => socket.destroy());
  }

  #release(): void {
    for (const held of this.#input.splice(0)) held.release();
    this.#pending = 0;
  }
}
