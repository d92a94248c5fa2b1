import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** A connection to the outside as the rest of the outbound room uses it: a socket, or what stands in its place. */
export interface Outside extends Duplex {
  setNoDelay(isOn?: boolean): unknown;
  setKeepAlive(isOn?: boolean, delayMs?: number): unknown;
  setTimeout(ms: number, callback?: () => void): unknown;
  resetAndDestroy(): unknown;
  destroySoon(): void;
}

/** Bytes that may pass at once after a pause, in milliseconds of the rate. */
const BURST_MS = 250;

interface MeterLimits {
  bytesPerSecond?: number | undefined;
  totalBytes?: number | undefined;
}

/** Counts the bytes of one VM's connections, and makes them wait. */
export class Meter {
  readonly #limits: MeterLimits;
  readonly #onSpent: () => void;
  /** Time from which further bytes may pass, on the clock of `performance`. */
  #freeAt = 0;
  #total = 0;

  /** @param onSpent called when the total is used up */
  constructor(limits: MeterLimits, onSpent: () => void) {
    this.#limits = limits;
    this.#onSpent = onSpent;
  }

  /** Whether connections must be metered. */
  get isNeeded(): boolean {
    return this.#limits.bytesPerSecond !== undefined || this.#limits.totalBytes !== undefined;
  }

  get isSpent(): boolean {
    return this.#total >= (this.#limits.totalBytes ?? Number.POSITIVE_INFINITY);
  }

  /** Adds bytes of earlier instances of the VM. */
  addBefore(bytes: number): void {
    this.#total += bytes;
  }

  /** Resolves when bytes may pass, in the order of the calls. @throws the signal's reason */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const wasSpent = this.isSpent;
    this.#total += bytes;
    if (this.isSpent && !wasSpent) this.#onSpent();
    signal.throwIfAborted();
    const { bytesPerSecond } = this.#limits;
    if (bytesPerSecond === undefined) return;
    const now = performance.now();
    const start = Math.max(now - BURST_MS, this.#freeAt);
    this.#freeAt = start + (bytes / bytesPerSecond) * 1000;
    if (this.#freeAt > now) await delay(this.#freeAt - now, undefined, { signal });
  }
}

/** A socket whose bytes pass at the pace of a meter. */
export class MeteredSocket extends Duplex implements Outside {
  readonly #inner: Outside;
  readonly #meter: Meter;
  readonly #closed = new AbortController();
  /** A piece waits until it may pass. */
  #isTaking = false;
  #hasEnded = false;

  constructor(inner: Outside, meter: Meter, options: { allowHalfOpen: boolean }) {
    super(options);
    this.#inner = inner;
    this.#meter = meter;
    inner.once("end", () => {
      this.#hasEnded = true;
      if (!this.#isTaking) this.push(null);
    });
    inner.on("error", (error) => this.destroy(error));
    // The last piece of a connection that has ended may still wait.
    inner.once("close", () => {
      if (!this.#hasEnded) this.destroy();
    });
    inner.on("timeout", () => this.emit("timeout"));
  }

  setNoDelay(isOn?: boolean): this {
    this.#inner.setNoDelay(isOn);
    return this;
  }

  setKeepAlive(isOn?: boolean, delayMs?: number): this {
    this.#inner.setKeepAlive(isOn, delayMs);
    return this;
  }

  setTimeout(ms: number, callback?: () => void): this {
    this.#inner.setTimeout(ms);
    if (callback !== undefined) this.once("timeout", callback);
    return this;
  }

  resetAndDestroy(): this {
    this.#inner.resetAndDestroy();
    return this.destroy();
  }

  destroySoon(): void {
    this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override _read(): void {
    const piece = this.#inner.read() as Buffer | null;
    if (piece === null) {
      if (!this.#inner.readableEnded) this.#inner.once("readable", () => this._read());
      return;
    }
    this.#isTaking = true;
    this.#meter.take(piece.byteLength, this.#closed.signal).then(
      () => {
        this.#isTaking = false;
        this.push(piece);
        if (this.#hasEnded) this.push(null);
      },
      () => this.destroy(),
    );
  }

  override _write(piece: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#meter.take(piece.byteLength, this.#closed.signal).then(
      () => this.#inner.write(piece, done),
      (error: Error) => done(error),
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#inner.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#closed.abort();
    this.#inner.destroy();
    done(error);
  }
}
