import { limitExceeded } from "../../api/errors.ts";
import type { SnapshotMode } from "../../api/methods/shells.ts";
import type { Mutex } from "../../base/mutex.ts";
import type { OutputBudget } from "../../base/tail.ts";
import { type DrawnScreen, drawScreen, type ScreenStep } from "./draw-screen.ts";
import {
  FOLD_BYTES,
  MAX_KEPT_SCREEN_BYTES,
  MAX_RESIZES,
  MAX_WAITING_SNAPSHOTS,
  SCREEN_KEEP_MS,
} from "./limits.ts";
import { unfinishedBytes } from "./unfinished.ts";

interface Size {
  cols: number;
  rows: number;
}

/** A change of a terminal's size before the chunk `seq`. */
interface Resize extends Size {
  seq: number;
}

/** The drawn screen of a terminal after the chunk `seq`. */
interface Base extends Size {
  seq: number;
  data: Uint8Array;
}

/** Returns the kept output after a chunk. */
type OutputAfter = (seq: number) => { chunks: { seq: number; data: Uint8Array }[]; truncated: boolean };

/** A snapshot of a terminal. */
export interface DrawnShell extends Size {
  seq: number;
  data: Uint8Array;
  truncated: boolean;
}

/**
 * The screen of a shell, drawn when somebody asks for it, from the output that the shell keeps. Once drawn it is kept up to
 * date for some minutes, so that it outlives that output.
 */
export class ShellScreen {
  readonly #output: OutputAfter;
  readonly #drawing: Mutex;
  /** Output that the VM keeps. */
  readonly #kept: OutputBudget;
  #isEnded = false;
  #isForgotten = false;
  /** Size of the terminal before the oldest kept change. */
  #first: Size;
  #resizes: Resize[] = [];
  #base: Base | undefined;
  #unfolded = 0;
  #isFolding = false;
  #askedAt = 0;
  #asking = 0;

  /**
   * @param output returns the kept output after a chunk
   * @param drawing lets one shell of the VM draw at a time, so that no VM keeps another waiting for long
   * @param kept counts the drawn screen
   */
  constructor(size: Size, output: OutputAfter, drawing: Mutex, kept: OutputBudget) {
    this.#kept = kept;
    this.#drawing = drawing;
    this.#first = size;
    this.#output = output;
  }

  /** The terminal has another size from the chunk `seq` on. */
  resized({ cols, rows }: Size, seq: number): void {
    const last = this.#resizes.at(-1);
    if (last?.seq === seq) Object.assign(last, { cols, rows });
    else this.#resizes.push({ seq, cols, rows });
    while (this.#resizes.length > MAX_RESIZES) this.#first = this.#resizes.shift()!;
  }

  /** The terminal has sent output. */
  grown(bytes: number): void {
    if (this.#base === undefined) return;
    if (Date.now() - this.#askedAt > SCREEN_KEEP_MS) {
      this.#setBase(undefined);
      return;
    }
    this.#unfolded += bytes;
    if (this.#unfolded < FOLD_BYTES || this.#isFolding) return;
    this.#isFolding = true;
    this.#queueDraw("screen")
      // The next snapshot draws from the output that is left.
      .catch(() => undefined)
      .finally(() => {
        this.#isFolding = false;
      });
  }

  /** Draws the screen for somebody. @throws AgentVmError `limit_exceeded` */
  async snapshot(mode: Exclude<SnapshotMode, "none">): Promise<DrawnShell> {
    if (this.#asking >= MAX_WAITING_SNAPSHOTS)
      throw limitExceeded({ MAX_WAITING_SNAPSHOTS }, "Too many snapshots of the shell wait", "Wait for one.");
    this.#askedAt = Date.now();
    this.#asking++;
    try {
      return await this.#queueDraw(mode);
    } finally {
      this.#asking--;
    }
  }

  /** Drops the drawn screen for the sake of others. @returns `false` if there is none */
  dropOldest(): boolean {
    if (this.#base === undefined) return false;
    this.#setBase(undefined);
    return true;
  }

  /** The shell has ended: its screen is dropped before the output of running programs. */
  end(): void {
    this.#isEnded = true;
    this.#kept.ended(this);
  }

  /** The shell leaves the table. */
  forget(): void {
    this.#setBase(undefined);
    this.#isForgotten = true;
  }

  #queueDraw(mode: "screen" | "scrollback"): Promise<DrawnShell> {
    return this.#drawing.run(() => this.#draw(mode));
  }

  async #draw(mode: "screen" | "scrollback"): Promise<DrawnShell> {
    this.#unfolded = 0;
    let base = this.#base;
    let kept = this.#output(base?.seq ?? -1);
    // A gap behind what was drawn: the kept output says more.
    if (base !== undefined && kept.truncated) base = undefined;
    if (base === undefined) kept = this.#output(-1);
    const before = kept.chunks[0]?.seq ?? 0;
    const size: Size = base ?? this.#resizes.findLast(({ seq }) => seq <= before) ?? this.#first;
    const steps: ScreenStep[] = base === undefined ? [] : [{ data: base.data }];
    const resizes = this.#resizes.filter(({ seq }) => seq > (base?.seq ?? before));
    let last = size;
    for (const { seq, data } of kept.chunks) {
      while (resizes[0] !== undefined && resizes[0].seq <= seq) {
        last = resizes.shift()!;
        steps.push({ cols: last.cols, rows: last.rows });
      }
      steps.push({ data });
    }
    for (const resize of resizes) {
      last = resize;
      steps.push({ cols: resize.cols, rows: resize.rows });
    }
    const seq = kept.chunks.at(-1)?.seq ?? base?.seq ?? -1;
    const tail = tailOf(base, kept.chunks);
    const drawn = await drawScreen(size, steps);
    const { cols, rows } = last;
    this.#keep(drawn, { seq, cols, rows }, tail);
    return {
      seq,
      cols,
      rows,
      data: bytesOf(drawn[mode], tail),
      truncated: kept.truncated && base === undefined,
    };
  }

  #keep(drawn: DrawnScreen, at: Omit<Base, "data">, tail: Uint8Array): void {
    const fits = [drawn.scrollback, drawn.screen].find((text) => text.length <= MAX_KEPT_SCREEN_BYTES);
    this.#setBase(fits === undefined ? undefined : { ...at, data: bytesOf(fits, tail) });
  }

  #setBase(base: Base | undefined): void {
    if (this.#isForgotten) return;
    const before = this.#base?.data.byteLength ?? 0;
    this.#base = base;
    this.#kept.give(before);
    if (base === undefined) this.#kept.forget(this);
    else this.#kept.take(this, base.data.byteLength);
    if (this.#isEnded) this.#kept.ended(this);
  }
}

/** Bytes that draw a screen, and then the beginning of a sequence whose rest is still to come. */
function bytesOf(text: string, tail: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(text), tail]);
}

function tailOf(base: Base | undefined, chunks: readonly { data: Uint8Array }[]): Uint8Array {
  const end = Buffer.concat([base?.data ?? new Uint8Array(), ...chunks.map(({ data }) => data)]).subarray(
    -8192,
  );
  return Uint8Array.from(end.subarray(end.length - unfinishedBytes(end)));
}
