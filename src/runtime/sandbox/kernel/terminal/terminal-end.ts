/// <reference types="node-pty" />
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import type * as NodePty from "@lydell/node-pty";
import { AgentVmError, limitExceeded } from "../../../../api/errors.ts";
import { BytePool, ByteShare } from "../../../../base/byte-share.ts";
import { processesAreGone } from "../../host-room.ts";
import { refusal } from "../helpers/refusal.ts";
import {
  MAX_SERVER_TERMINAL_INPUT_BYTES,
  MAX_TERMINAL_INPUT_BYTES,
  SMALL_TERMINAL_INPUT_BYTES,
} from "../limits.ts";
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

/** Overhead charged for each pending piece of input, besides its data. */
const PIECE_OVERHEAD_BYTES = 256;

const pool = new BytePool(MAX_SERVER_TERMINAL_INPUT_BYTES);

/** Returns the memory for the input of one VM's terminals. */
export const terminalMemory = (): ByteShare =>
  new ByteShare({ most: MAX_TERMINAL_INPUT_BYTES, small: SMALL_TERMINAL_INPUT_BYTES, pool });

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
  readonly #memory: ByteShare;
  /** Bytes of the share. */
  #charged = 0;
  #retry: NodeJS.Timeout | undefined;

  /** @param memory holds the input of the VM's terminals */
  constructor(pty: Pty, memory: ByteShare) {
    this.#pty = pty as UnixPty;
    this.#memory = memory;
  }

  /** Bytes of input that the terminal has not taken yet. */
  get pending(): number {
    return this.#pending;
  }

  /** @throws AgentVmError `limit_exceeded` if the terminals of the VM, or of all VMs, have too much pending input */
  write(data: Uint8Array): void {
    if (!this.#isOpen || data.byteLength === 0) return;
    this.#charge(data.byteLength + PIECE_OVERHEAD_BYTES);
    // A buffer of its own, whose length is the charge.
    this.#input.push(Buffer.from(Uint8Array.from(data).buffer));
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
    this.#give(this.#charged);
  }

  #charge(bytes: number): void {
    if (!this.#memory.take(bytes)) {
      const isOwn = this.#memory.bytes + bytes > MAX_TERMINAL_INPUT_BYTES;
      throw limitExceeded(
        isOwn ? { MAX_TERMINAL_INPUT_BYTES } : { MAX_SERVER_TERMINAL_INPUT_BYTES },
        `The terminals of ${isOwn ? "the VM" : "all VMs"} have too much unread input`,
        "Wait until their programs read.",
      );
    }
    this.#charged += bytes;
  }

  #give(bytes: number): void {
    this.#charged -= bytes;
    this.#memory.give(bytes);
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
      if (written < next.length) {
        this.#input[0] = next.subarray(written);
        continue;
      }
      this.#input.shift();
      // A part of a piece keeps the memory of the whole piece.
      this.#give(next.buffer.byteLength + PIECE_OVERHEAD_BYTES);
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
