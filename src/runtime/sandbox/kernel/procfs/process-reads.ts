import { closeSync, openSync, read } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { pause } from "../../../../base/pace.ts";
import { unlessAborted } from "../../../../base/within.ts";
import { PROCESS_READS_TIMEOUT_MS } from "../limits.ts";
import type { PoolPlace } from "../pool-place.ts";

const readAsync = promisify(read);

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

  /** Begins reads that have PROCESS_READS_TIMEOUT_MS together. */
  begin(): ProcessLook {
    const late = AbortSignal.timeout(PROCESS_READS_TIMEOUT_MS);
    return new ProcessLook(this, AbortSignal.any([this.#ending, late]));
  }

  /**
   * Works in a thread of the pool when the VM has a place there.
   *
   * @param signal ends the wait, but not the work
   * @throws the signal's reason, or the error of the work
   */
  async run<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    return await unlessAborted(this.#place.run(work, signal), signal);
  }
}

/** Reads with one time limit. Past it each read fails at once. */
export class ProcessLook {
  readonly #reads: ProcessReads;
  readonly #signal: AbortSignal;

  constructor(reads: ProcessReads, signal: AbortSignal) {
    this.#reads = reads;
    this.#signal = signal;
  }

  /**
   * Reads the first bytes of a file, which the kernel may return piece by piece.
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
    return await this.#attempt(() => readMemory(path, address, length));
  }

  async #attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    const turn = pause();
    if (turn !== null) await turn;
    if (this.#signal.aborted) return undefined;
    return await this.#reads.run(work, this.#signal).catch(() => undefined);
  }
}

async function readStart(path: string, bytes: number): Promise<Buffer> {
  const target = Buffer.allocUnsafe(bytes);
  // The kernel waits for the process only when the file is read.
  const fd = openSync(path, "r");
  let length = 0;
  try {
    for (let count = -1; count !== 0 && length < bytes; length += count)
      count = (await readAsync(fd, target, length, bytes - length, null)).bytesRead;
  } finally {
    closeSync(fd);
  }
  return target.subarray(0, length);
}

async function readMemory(path: string, address: number, length: number): Promise<Buffer | undefined> {
  let memory: FileHandle | undefined;
  try {
    memory = await open(path, "r");
    const { bytesRead, buffer } = await memory.read(Buffer.alloc(length), 0, length, address);
    return bytesRead === length ? buffer : undefined;
  } finally {
    await memory?.close();
  }
}
