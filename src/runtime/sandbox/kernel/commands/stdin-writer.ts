import { fstatSync } from "node:fs";
import { Socket } from "node:net";

/** Writes to a command's stdin. Owns the descriptor. */
export class StdinWriter {
  readonly #fd: number;
  readonly #socket: Socket;

  /** @param fd none for a pipe that nobody reads */
  constructor(fd?: number) {
    this.#fd = fd ?? -1;
    this.#socket = new Socket({ ...(fd !== undefined && { fd }), readable: false, writable: true });
    // EPIPE: nobody reads it any more. As in a shell pipeline, that is the writer's end and no failure of the command.
    this.#socket.on("error", () => this.#socket.destroy());
    if (fd === undefined) this.close();
  }

  /** Bytes that the command has not read yet. */
  get pending(): number {
    return this.#socket.writableLength;
  }

  /** Name of the pipe in /proc/PID/fd; `undefined` once it is closed. */
  get name(): string | undefined {
    return this.#socket.writable ? `pipe:[${fstatSync(this.#fd).ino}]` : undefined;
  }

  write(data: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(data);
  }

  /** The command sees the end of its input after what was written. */
  end(): void {
    if (this.#socket.writable) this.#socket.end(() => this.#socket.destroy());
  }

  close(): void {
    this.#socket.destroy();
  }
}
