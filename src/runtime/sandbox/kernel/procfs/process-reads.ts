import { closeSync, openSync, read } from "node:fs";
import { access, type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { pause } from "../../../../base/pace.ts";
import { Semaphore } from "../../../../base/semaphore.ts";
import { unlessAborted } from "../../../../base/within.ts";
import { MAX_PROCESS_READS, PROCESS_READS_TIMEOUT_MS } from "../limits.ts";

const readAsync = promisify(read);

/** Time after which a read that still waits makes its VM count as slow. @unit ms */
const SLOW_MS = 100;
/** Time for which a VM counts as slow. @unit ms */
const SLOW_FOR_MS = 60_000;

const ofVms = new Semaphore(MAX_PROCESS_READS);
/** One place for all VMs that have kept reads waiting, so that they keep no other VM's reads waiting. */
const ofSlowVms = new Semaphore(1);

/**
 * Reads files of procfs for which the kernel waits until a process has changed its memory map, or has started another
 * program: `cmdline`, `fdinfo`, `mem` and `syscall`. A hostile process makes that last for seconds. So a thread of the pool
 * waits, one for each VM and MAX_PROCESS_READS + 1 for all VMs.
 */
export class ProcessReads {
  readonly #ofVm = new Semaphore(1);
  readonly #ending: AbortSignal;
  #slowUntil = 0;

  /** @param ending aborted before the descriptor of the VM's procfs is closed */
  constructor(ending: AbortSignal) {
    this.#ending = ending;
  }

  /** Begins reads that have PROCESS_READS_TIMEOUT_MS together. */
  begin(): ProcessLook {
    const late = AbortSignal.timeout(PROCESS_READS_TIMEOUT_MS);
    return new ProcessLook(this, AbortSignal.any([this.#ending, late]));
  }

  /**
   * Works in a thread of the pool when the VM has a place there. The place is free again when the work ends.
   *
   * @param signal ends the wait, but not the work
   * @throws the signal's reason, or the error of the work
   */
  async run<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    await this.#ofVm.acquire(signal);
    const ofAll = performance.now() < this.#slowUntil ? ofSlowVms : ofVms;
    try {
      await ofAll.acquire(signal);
    } catch (error) {
      this.#ofVm.release();
      throw error;
    }
    let runs = true;
    let overtaken = 0;
    // The pool begins work in its order: if later work ends first, and again half the time later, the read itself waits, and not the
    // pool or the event loop.
    const watch = setInterval(async () => {
      await access("/");
      overtaken += 1;
      if (runs && overtaken >= 2) this.#slowUntil = performance.now() + SLOW_FOR_MS;
    }, SLOW_MS / 2).unref();
    const working = work().finally(() => {
      runs = false;
      clearInterval(watch);
      ofAll.release();
      this.#ofVm.release();
    });
    return await unlessAborted(working, signal);
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
