import { readSync } from "node:fs";
import { Socket } from "node:net";
import type { OutputShare } from "./output-share.ts";

const READ_BYTES = 64 * 1024;

/**
 * Takes the first reads of all pipes, and those of `drain`. Each pipe hands a copy over before another pipe is read. V8 collects the garbage of the whole heap
 * when much memory outside of it is in use, and two buffers for each command are much: these collections took half of a server's CPU time.
 */
const FIRST_READS = Buffer.allocUnsafeSlow(READ_BYTES);

/**
 * Bytes read at once from a pipe when its command ends.
 * @unit bytes
 * @past The rest is read as it arrives, within DRAIN_MS.
 */
const MAX_DRAIN_BYTES = 1024 * 1024;
/**
 * Reads in a row from a pipe when its command ends.
 * @unit reads
 * @past The rest is read as it arrives, within DRAIN_MS.
 */
const MAX_DRAIN_READS = 256;

type Listener = (data: Buffer) => void;

/** Reads a pipe as data comes, and without waiting when asked to. Owns the descriptor. */
export class PipeReader {
  readonly #fd: number;
  readonly #socket: Socket;
  /** Buffer of the socket's next read. Only a read of the socket may replace it: the socket learns of another one after a read alone. */
  #buffer = FIRST_READS;
  #early: Buffer[] = [];
  #listener: Listener | undefined;
  #onEnd: (() => void) | undefined;
  #ended = false;
  #paused = false;
  #share: OutputShare | undefined;
  #waitsForTurn = false;

  /** @param fd none for a pipe that has ended */
  constructor(fd?: number) {
    this.#fd = fd ?? -1;
    // `onread` hands data over in the same turn in which it was read: nothing waits in a stream's buffer when drain()
    // reads past it.
    this.#socket = new Socket({
      ...(fd !== undefined && { fd }),
      readable: true,
      writable: false,
      onread: {
        buffer: () => this.#buffer,
        callback: (count) => {
          this.#deliver(this.#taken(count));
          this.#waitsForTurn = this.#share?.mayReadOn(this, count) === false;
          return !this.#waitsForTurn;
        },
      },
    });
    this.#socket.on("end", () => this.#end());
    this.#socket.on("close", () => this.#end());
    // A pipe fails only when it is closed, which the event "close" reports.
    this.#socket.on("error", () => this.#socket.destroy());
    if (fd === undefined) this.close();
    else this.#socket.resume();
  }

  /** `true` once every writer has gone, or it was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  listen(listener: Listener): void {
    this.#listener = listener;
    for (const data of this.#early) listener(data);
    this.#early = [];
  }

  onEnd(listener: () => void): void {
    if (this.#ended) listener();
    else this.#onEnd = listener;
  }

  /** Shares the server's time with the other readers of its VM. */
  shareTurns(share: OutputShare): void {
    this.#share = share;
  }

  /** Leaves in the pipe what comes from now on; `drain` takes it all the same. */
  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (!this.#waitsForTurn) this.#socket.resume();
  }

  /** Reads on after its turn has come. */
  takeTurn(): void {
    this.#waitsForTurn = false;
    if (!this.#paused && !this.#ended) this.#socket.resume();
  }

  /** Hands over everything that is in the pipe now. */
  drain(): void {
    let bytes = 0;
    for (let reads = 0; !this.#ended && reads < MAX_DRAIN_READS && bytes < MAX_DRAIN_BYTES; reads++) {
      let count: number;
      try {
        count = readSync(this.#fd, FIRST_READS);
      } catch {
        // EAGAIN: the pipe is empty, though somebody may still write.
        return;
      }
      if (count === 0) {
        this.close();
        return;
      }
      bytes += count;
      this.#deliver(Buffer.from(FIRST_READS.subarray(0, count)));
    }
  }

  /** Reads and drops the rest, so that a writer neither blocks nor dies of SIGPIPE. */
  discard(): void {
    this.#listener = () => undefined;
    this.resume();
  }

  close(): void {
    this.#end();
    this.#socket.destroy();
  }

  /** Gives bytes to the listener, which may keep them. A small piece is copied, since it would keep a large buffer alive. */
  #taken(count: number): Buffer {
    const buffer = this.#buffer;
    const data = buffer.subarray(0, count);
    if (count * 2 < READ_BYTES) return Buffer.from(data);
    // A pipe with much output reads on into buffers of its own.
    this.#buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    return buffer === FIRST_READS ? Buffer.from(data) : data;
  }

  /** Delivers bytes. The starter of the command listens in the turn in which it starts, before a byte is read. */
  #deliver(data: Buffer): void {
    if (this.#listener === undefined) this.#early.push(data);
    else this.#listener(data);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#share?.leave(this);
    this.#onEnd?.();
  }
}
