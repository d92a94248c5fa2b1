import type { FileChangedEvent } from "../../api/events.ts";
import { FairPool, PooledKeeper } from "../../base/fair-pool.ts";
import { pause } from "../../base/pace.ts";
import { MAX_QUEUED_FILE_EVENTS, MAX_SERVER_QUEUED_FILE_EVENT_BYTES } from "./limits.ts";

/** The queue has room for more changes up to this many waiting events. */
const ROOM_EVENTS = MAX_QUEUED_FILE_EVENTS / 2;

/** Memory of an event without its paths. */
const EVENT_BYTES = 200;

/** Events that wait in the queues of all VMs. */
const queuedEvents = new FairPool(MAX_SERVER_QUEUED_FILE_EVENT_BYTES);

/** An event that waits, and the path of its watch. */
interface Waiting {
  event: FileChangedEvent;
  root: string;
}

/** Queue of `fileChanged` events. Emits them in order without blocking the event loop. */
export class ChangeQueue extends PooledKeeper {
  readonly #emit: (event: FileChangedEvent) => void;
  /** Watches with a waiting `overflow` event. A rescan after it covers their later changes, so those are dropped. */
  readonly #overflowing = new Set<string>();
  #waiting: Waiting[] = [];
  #next = 0;
  #draining: Promise<void> | null = null;
  #closed = false;

  /** @param pool events that wait in the queues of all VMs */
  constructor(emit: (event: FileChangedEvent) => void, pool = queuedEvents) {
    super(pool);
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
    const isFull = this.#length >= MAX_QUEUED_FILE_EVENTS;
    this.#draining ??= this.#drain();
    if (isFull && event.type !== "overflow" && event.type !== "ended") {
      this.drop(watchId);
      this.#overflowing.add(watchId);
      this.#push(overflowOf(watchId, root));
    } else this.#push({ event, root });
  }

  /** Returns a promise that resolves when the queue has room, or `null` if it has room now. */
  drained(): Promise<void> | null {
    return this.#length > ROOM_EVENTS ? this.#draining : null;
  }

  /** Drops the waiting events of a watch. */
  drop(watchId: string): void {
    this.#overflowing.delete(watchId);
    this.#keep(({ event }) => event.watchId !== watchId);
  }

  /** Makes one `overflow` of the waiting events of each watch, for the sake of other VMs. */
  shrinkTo(): void {
    const waiting = this.#waiting.slice(this.#next);
    const ends = waiting.filter(({ event }) => event.type === "ended");
    const roots = new Map(waiting.map(({ event, root }) => [event.watchId, root]));
    for (const { event } of ends) roots.delete(event.watchId);
    for (const watchId of roots.keys()) this.#overflowing.add(watchId);
    this.#set([...Array.from(roots, ([watchId, root]) => overflowOf(watchId, root)), ...ends]);
  }

  close(): void {
    this.#closed = true;
    this.#set([]);
  }

  #keep(isKept: (waiting: Waiting) => boolean): void {
    this.#set(this.#waiting.slice(this.#next).filter(isKept));
  }

  #set(waiting: Waiting[]): void {
    this.#waiting = waiting;
    this.#next = 0;
    this.change(waiting.reduce((sum, each) => sum + bytesOf(each), 0) - this.bytes);
  }

  #push(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.change(bytesOf(waiting));
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
      const waiting = this.#waiting[this.#next];
      if (waiting === undefined) break;
      this.#next += 1;
      this.change(-bytesOf(waiting));
      // Events that have left take no memory while others keep coming.
      if (this.#next === ROOM_EVENTS) this.#keep(() => true);
      this.#overflowing.delete(waiting.event.watchId);
      this.#emit(waiting.event);
    }
    this.#waiting = [];
    this.#next = 0;
    this.#draining = null;
  }
}

function overflowOf(watchId: string, root: string): Waiting {
  return { event: { watchId, type: "overflow", path: root }, root };
}

function bytesOf({ event: { path, oldPath = "" } }: Waiting): number {
  return EVENT_BYTES + 2 * (path.length + oldPath.length);
}
