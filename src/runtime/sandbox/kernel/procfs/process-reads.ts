import { closeSync, openSync, read } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { EndSignal } from "../../../../base/end-signal.ts";
import { pause } from "../../../../base/pace.ts";
import { unlessAborted } from "../../../../base/within.ts";
import { PROCESS_LOOK_TIMEOUT_MS, PROCESS_READS_TIMEOUT_MS } from "../limits.ts";
import type { PoolPlace } from "../pool-place.ts";

const readAsync = promisify(read);

/** Work of a thread. It calls `next` before each request to the pool but the first. */
type Work<Result> = (next: () => void) => Promise<Result>;

/**
 * Reads files of procfs for which the kernel waits until a process has changed its memory map, or has started another
 * program: `cmdline`, `fdinfo`, `mem` and `syscall`. A hostile process makes that last for seconds. So a thread of the pool
 * waits.
 */
export class ProcessReads {
  readonly #ending: AbortSignal;
  readonly #place: PoolPlace;

  /** @param ending aborted before the descriptor of the VM's procfs is closed */
  constructor(ending: AbortSignal, place: PoolPlace) {
    this.#ending = ending;
    this.#place = place;
  }

  /** Begins reads that have PROCESS_READS_TIMEOUT_MS each, and PROCESS_LOOK_TIMEOUT_MS together. */
  begin(): ProcessLook {
    return new ProcessLook(this);
  }

  /**
   * Works in a thread of the pool when the VM has a place there.
   *
   * @param late ends the wait, but not the work
   * @throws the signal's reason, or the error of the work
   */
  async run<Result>(work: Work<Result>, late: AbortSignal): Promise<Result> {
    const end = new EndSignal([this.#ending, late]);
    return await end.during((ends) => unlessAborted(this.#place.run(work, ends), ends));
  }
}

/** Reads with time limits. After a read that was late each read fails at once. A busy pool makes many reads slow, and none late. */
export class ProcessLook {
  readonly #reads: ProcessReads;
  readonly #late = new AbortController();
  readonly #until = performance.now() + PROCESS_LOOK_TIMEOUT_MS;

  constructor(reads: ProcessReads) {
    this.#reads = reads;
  }

  /**
   * Reads the first bytes of a file.
   *
   * @returns `undefined` if the process has ended or keeps the read waiting
   */
  async readStart(path: string, bytes: number): Promise<Buffer | undefined> {
    return await this.#attempt(() => readStart(path, bytes));
  }

  /**
   * Reads memory of a process.
   *
   * @param path its file `mem`
   * @returns `undefined` as for `readStart`, or if some of it is not mapped
   */
  async readMemory(path: string, address: number, length: number): Promise<Buffer | undefined> {
    return await this.#attempt((next) => readMemory(path, { address, length }, next));
  }

  async #attempt<Result>(work: Work<Result>): Promise<Result | undefined> {
    const turn = pause();
    if (turn !== null) await turn;
    const ms = Math.min(PROCESS_READS_TIMEOUT_MS, this.#until - performance.now());
    if (ms <= 0) return undefined;
    const timer = setTimeout(() => this.#late.abort(), ms);
    const read = this.#reads.run(work, this.#late.signal).catch(() => undefined);
    return await read.finally(() => clearTimeout(timer));
  }
}

/** Reads a file with one request: for a VM with many processes the pool may be busy. The kernel returns fewer bytes only at the end. */
async function readStart(path: string, bytes: number): Promise<Buffer> {
  const target = Buffer.allocUnsafe(bytes);
  // The kernel waits for the process only when the file is read.
  const fd = openSync(path, "r");
  try {
    const { bytesRead } = await readAsync(fd, target, 0, bytes, null);
    return target.subarray(0, bytesRead);
  } finally {
    closeSync(fd);
  }
}

async function readMemory(
  path: string,
  { address, length }: { address: number; length: number },
  next: () => void,
): Promise<Buffer | undefined> {
  let memory: FileHandle | undefined;
  try {
    memory = await open(path, "r");
    next();
    const { bytesRead, buffer } = await memory.read(Buffer.alloc(length), 0, length, address);
    return bytesRead === length ? buffer : undefined;
  } finally {
    next();
    await memory?.close();
  }
}
