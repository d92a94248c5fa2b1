import type { FileChangedEvent } from "../../api/events.ts";
import { pause } from "../../base/pace.ts";
import { MAX_QUEUED_FILE_EVENTS } from "./limits.ts";

/** The queue has room for more changes up to this many waiting events. */
const ROOM_EVENTS = MAX_QUEUED_FILE_EVENTS / 2;

/** Queue of `fileChanged` events. Emits them in order without blocking the event loop. */
export class ChangeQueue {
  readonly #emit: (event: FileChangedEvent) => void;
  /** Watches with a waiting `overflow` event. A rescan after it covers their later changes, so those are dropped. */
  readonly #overflowing = new Set<string>();
  #waiting: FileChangedEvent[] = [];
  #next = 0;
  #draining: Promise<void> | null = null;
  #closed = false;

  constructor(emit: (event: FileChangedEvent) => void) {
    this.#emit = emit;
  }

  /**
   * Adds an event. If too many events wait, the waiting events of its watch become one `overflow`.
   *
   * @param root path of the watch
   */
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

  /** Returns a promise that resolves when the queue has room, or `null` if it has room now. */
  drained(): Promise<void> | null {
    return this.#length > ROOM_EVENTS ? this.#draining : null;
  }

  /** Drops the waiting events of a watch. */
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
    // Collect the events of this turn first.
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
