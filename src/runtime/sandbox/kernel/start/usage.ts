import type { ResourceUsage } from "../../sandbox.ts";
import { descendants, peakRss, readStat } from "../procfs.ts";

/** Samples come fast at first, since most commands are short, then at leisure. */
const FIRST_SAMPLE_MS = 2;
const LONGEST_PAUSE_MS = 250;

/** A tree that takes long to read is read less often, so that sampling stays below two percent of the time. */
const PAUSE_PER_SAMPLE_TIME = 50;

/** Processes of one tree that a sample looks at. */
const MAX_SAMPLED = 256;

/**
 * Watches what a running tree uses. The kernel tells a parent the exact figures of a child that ended, but Node does
 * not pass them on, so they are read from /proc while the tree lives: the peak of resident memory is the kernel's own
 * high-water mark, CPU is what was used up to the last sample. What ended between two samples is missed; the exit
 * adds what the server's own counters say (see ReapedCpu).
 */
export class UsageSampler {
  readonly #leader: number;
  #peakRss = 0;
  #cpuMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_SAMPLE_MS;

  constructor(leader: number) {
    this.#leader = leader;
    this.#sample();
    this.#schedule();
  }

  get usage(): ResourceUsage {
    return { cpuMs: this.#cpuMs, maxRssBytes: this.#peakRss };
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      const started = performance.now();
      this.#sample();
      const took = performance.now() - started;
      this.#pauseMs = Math.max(Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS), took * PAUSE_PER_SAMPLE_TIME);
      this.#schedule();
    }, this.#pauseMs).unref();
  }

  #sample(): void {
    let cpuMs = 0;
    for (const pid of descendants(this.#leader).slice(0, MAX_SAMPLED)) {
      cpuMs += readStat(pid)?.cpuMs ?? 0;
      this.#peakRss = Math.max(this.#peakRss, peakRss(pid));
    }
    // A tree whose members end loses their share where nobody waited for them; what was seen once was used.
    this.#cpuMs = Math.max(this.#cpuMs, cpuMs);
  }
}
