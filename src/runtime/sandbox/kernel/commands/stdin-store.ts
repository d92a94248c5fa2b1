import { AgentVmError, limitExceeded, vmStopped } from "../../../../api/errors.ts";
import { MIB } from "../../../../api/units.ts";
import { BytePool, ByteShare } from "../../../../base/byte-share.ts";
import { joined } from "../../../../base/bytes.ts";
import { MAX_SERVER_STDIN_BYTES, MAX_STDIN_BYTES, SMALL_STDIN_BYTES } from "../limits.ts";

/** Overhead charged for each kept piece of input, besides its data. */
const PIECE_OVERHEAD_BYTES = 256;

/** Part of a file that the server reads at once: as much as a pipe takes. */
const PART_BYTES = 64 * 1024;

/** A file of this size takes no further input, so that the VM gets back the room of input that has been read. */
const MAX_SPOOL_BYTES = 8 * MIB;

const pool = new BytePool(MAX_SERVER_STDIN_BYTES);

/** Input that waits for its reader. Its owner releases it, and else the end of the VM. */
export interface HeldInput {
  /** Takes further input behind this one. @returns `false` if it cannot @throws AgentVmError `ENOSPC`, without having taken any */
  append(data: Uint8Array): boolean;
  /** Returns the next part; `undefined` at the end. */
  next(): Uint8Array | undefined;
  /** Bytes that `next` has not returned. */
  readonly rest: number;
  /** Idempotent. */
  release(): void;
}

/** A file in the VM's own file tree, without a name. */
interface SpoolFile {
  readonly size: number;
  /** @throws AgentVmError such as `ENOSPC`, and keeps nothing of the data */
  append(data: Uint8Array): void;
  read(position: number, bytes: number): Uint8Array;
  close(): void;
}

/**
 * Holds the input that programs of one VM have not read. The server keeps some in memory. Further input waits in files
 * without a name in the VM's own file tree, so a VM that reads nothing pays for it with its own room.
 */
export class StdinStore {
  readonly #openFile: () => SpoolFile;
  readonly #held = new Set<HeldInput>();
  readonly #memory = new ByteShare({ most: MAX_STDIN_BYTES, small: SMALL_STDIN_BYTES, pool });
  #isClosed = false;

  /** @param openFile makes a file in the VM. It throws if the VM has no room */
  constructor(openFile: () => SpoolFile) {
    this.#openFile = openFile;
  }

  /**
   * @throws AgentVmError `ENOSPC` if the VM's file tree has no room; `limit_exceeded` if it is read-only; `vm_stopped` after
   * `close`
   */
  hold(data: Uint8Array): HeldInput {
    // The number of the VM's root directory may be another VM's by now.
    if (this.#isClosed) throw vmStopped();
    const forget = (held: HeldInput, charged = 0) => {
      this.#held.delete(held);
      this.#memory.give(charged);
    };
    const held = this.#memory.take(chargeOf(data))
      ? new MemoryInput(data, (bytes) => this.#memory.take(bytes), forget)
      : new Spool(this.#open(), data, forget);
    this.#held.add(held);
    return held;
  }

  #open(): SpoolFile {
    try {
      return this.#openFile();
    } catch (error) {
      if (!(error instanceof AgentVmError && error.code === "EROFS")) throw error;
      throw limitExceeded(
        { MAX_STDIN_BYTES },
        "The VM's programs have too much unread input, and its files, which are read-only, take none",
        "Wait until a program reads. `status()` says why the files are read-only.",
      );
    }
  }

  /** Releases everything. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const held of this.#held) held.release();
  }
}

/** Input in memory. Small pieces leave together. */
class MemoryInput implements HeldInput {
  readonly #charge: (bytes: number) => boolean;
  readonly #onRelease: (held: HeldInput, charged: number) => void;
  #pieces: Uint8Array[] = [];
  #charged = 0;
  rest = 0;

  /** @param charge pays for further input. Input that is held already is paid for */
  constructor(
    data: Uint8Array,
    charge: (bytes: number) => boolean,
    onRelease: (held: HeldInput, charged: number) => void,
  ) {
    this.#charge = charge;
    this.#onRelease = onRelease;
    this.#keep(data);
  }

  append(data: Uint8Array): boolean {
    if (this.rest === 0 || this.rest + data.byteLength > PART_BYTES) return false;
    if (!this.#charge(chargeOf(data))) return false;
    this.#keep(data);
    return true;
  }

  next(): Uint8Array | undefined {
    if (this.rest === 0) return undefined;
    const whole = joined(this.#pieces, this.rest);
    this.#drop();
    return whole;
  }

  release(): void {
    this.#drop();
    this.#onRelease(this, this.#charged);
    this.#charged = 0;
  }

  #keep(data: Uint8Array): void {
    // The caller may use its buffer again when its call has resolved, which is before a program reads.
    this.#pieces.push(new Uint8Array(data));
    this.rest += data.byteLength;
    this.#charged += chargeOf(data);
  }

  #drop(): void {
    this.#pieces = [];
    this.rest = 0;
  }
}

/** Input in a file. */
class Spool implements HeldInput {
  readonly #file: SpoolFile;
  readonly #onRelease: (held: HeldInput) => void;
  #position = 0;
  #isReleased = false;

  constructor(file: SpoolFile, data: Uint8Array, onRelease: (held: HeldInput) => void) {
    this.#file = file;
    this.#onRelease = onRelease;
    try {
      file.append(data);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  get rest(): number {
    return this.#isReleased ? 0 : this.#file.size - this.#position;
  }

  append(data: Uint8Array): boolean {
    if (this.#isReleased || this.#file.size >= MAX_SPOOL_BYTES) return false;
    this.#file.append(data);
    return true;
  }

  next(): Uint8Array | undefined {
    if (this.rest === 0) return undefined;
    const part = this.#file.read(this.#position, PART_BYTES);
    this.#position += part.byteLength;
    return part;
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#onRelease(this);
    this.#file.close();
  }
}

/** Memory of input that is kept. */
function chargeOf(data: Uint8Array): number {
  return PIECE_OVERHEAD_BYTES + data.byteLength;
}
