import type { FileChangedEvent } from "../../api/events.ts";
import { MAX_QUEUED_FILE_EVENTS } from "../../api/limits.ts";
import { pause } from "../sandbox/pace.ts";

/** Below this many waiting events more changes are looked for. */
const ROOM_EVENTS = MAX_QUEUED_FILE_EVENTS / 2;

/** fileChanged events on their way, in order and without holding the event loop. */
export class ChangeQueue {
  readonly #emit: (event: FileChangedEvent) => void;
  /** Watches whose next event says that some are missing: whoever looks then sees what is left out until then. */
  readonly #overflowing = new Set<string>();
  #waiting: FileChangedEvent[] = [];
  #next = 0;
  #draining: Promise<void> | null = null;
  #closed = false;

  constructor(emit: (event: FileChangedEvent) => void) {
    this.#emit = emit;
  }

  /** @param root of the watch; where too many events wait, its own become one that says so. */
  add(event: FileChangedEvent, root: string): void {
    if (this.#closed) return;
    const { watchId } = event;
    if (this.#overflowing.has(watchId) && event.type !== "ended") return;
    if (this.#length >= MAX_QUEUED_FILE_EVENTS && event.type !== "overflow" && event.type !== "ended") {
      this.#waiting = this.#waiting.slice(this.#next).filter((waiting) => waiting.watchId !== watchId);
      this.#next = 0;
      this.#waiting.push({ watchId, type: "overflow", path: root });
      this.#overflowing.add(watchId);
    } else this.#waiting.push(event);
    this.#draining ??= this.#drain();
  }

  /** What to wait for until there is room; `null` where there is. */
  drained(): Promise<void> | null {
    return this.#length > ROOM_EVENTS ? this.#draining : null;
  }

  /** Drops what a watch has not told yet. */
  drop(watchId: string): void {
    this.#overflowing.delete(watchId);
    this.#waiting = this.#waiting.slice(this.#next).filter((waiting) => waiting.watchId !== watchId);
    this.#next = 0;
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#next = 0;
  }

  get #length(): number {
    return this.#waiting.length - this.#next;
  }

  async #drain(): Promise<void> {
    // Events that come together leave together.
    await null;
    for (;;) {
      const turn = pause();
      if (turn !== null) await turn;
      const event = this.#waiting[this.#next];
      if (event === undefined) break;
      this.#next += 1;
      this.#overflowing.delete(event.watchId);
      this.#emit(event);
    }
    this.#waiting = [];
    this.#next = 0;
    this.#draining = null;
  }
}
