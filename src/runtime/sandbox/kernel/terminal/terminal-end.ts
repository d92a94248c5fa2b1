/// <reference types="node-pty" />
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import type * as NodePty from "@lydell/node-pty";
import { AgentVmError } from "../../../../api/errors.ts";
import { processesAreGone } from "../../host-room.ts";
import { refusal } from "../helpers/refusal.ts";
import { deliverLastOutput, type TerminalSource } from "./last-output.ts";

export type Pty = NodePty.IPty;

let nodePty: typeof NodePty | undefined;

/**
 * Starts a program on a new terminal. Loads node-pty with the first terminal: it has a native part, which a bundled server
 * may lack.
 *
 * @throws AgentVmError `not_supported` without node-pty; EAGAIN if the server has no process left
 */
export const spawnPty: typeof NodePty.spawn = (...args) => {
  nodePty ??= loadNodePty();
  // node-pty starts a thread for each terminal. If it gets none, it ends the server.
  if (processesAreGone()) throw refusal(constants.errno.EAGAIN);
  try {
    const pty = nodePty.spawn(...args);
    deliverLastOutput(pty as UnixPty);
    return pty;
  } catch (error) {
    if ((error as Error).message.startsWith("forkpty(3) failed")) throw refusal(constants.errno.EAGAIN);
    throw error;
  }
};

/** The package is installed under the alias node-pty, but its types use the package's own name. */
function loadNodePty(): typeof NodePty {
  try {
    return createRequire(import.meta.url)("node-pty");
  } catch (error) {
    throw new AgentVmError(
      "not_supported",
      "Terminals need the package node-pty, which is not beside the server",
      { capability: "terminals", hint: "Install agent-vm beside the server." },
      { cause: error },
    );
  }
}

/** Pause before the server writes again to a full terminal. */
const WRITE_RETRY_MS = 10;

type UnixPty = Pty & TerminalSource;

/**
 * The server's end of a terminal: its input and its size. node-pty's own `write` has no bound and blocks the event
 * loop. node-pty closes the descriptor before it emits an event, and the number may then belong to another VM's pipe.
 * So each use checks first that the descriptor is open.
 */
export class TerminalEnd {
  readonly #pty: UnixPty;
  #input: Buffer[] = [];
  #pending = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(pty: Pty) {
    this.#pty = pty as UnixPty;
  }

  /** Bytes of input that the terminal has not taken yet. */
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

  /** Drops pending input. */
  close(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#input = [];
    this.#pending = 0;
  }

  /** A destroyed socket has closed its descriptor, or closes it in this turn of the event loop. */
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

  /** Writes to the terminal. @returns the number of bytes that it took */
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
