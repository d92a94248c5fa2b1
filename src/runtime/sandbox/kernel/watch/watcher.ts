import { pause } from "../../../../base/pace.ts";
import { nameBytes } from "../../names.ts";
import type { Owner } from "../../own-uids.ts";
import type { Frame } from "../helpers/frames.ts";
import { HelperProcess } from "../helpers/helper-process.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";
import { type DirectoryEntry, entriesIn } from "./inotify.ts";

const PROGRAM = helperSource("watcher");

/** Descriptor of the root in the helper. */
const ROOT_FD = 3;

/**
 * Pause between two reads of the kernel's file events. Events in between are delivered together.
 * @unit ms
 * @past The kernel keeps 16,384 events. Beyond that the watch reports `overflow`.
 */
const TICK_MS = 20;

/** Pause after events that caused no report, such as those of the temporary file of a file action. */
const QUIET_TICK_MS = 1;

/** Receives the answers to a request to watch a directory. */
export interface WatchListener {
  /**
   * Called first.
   *
   * @param errno 0, or an error, after which no other method is called
   * @param wd watch descriptor in events
   */
  watched(errno: number, wd: number): void;
  /** Called with parts of the directory's listing. */
  listed(entries: Iterable<DirectoryEntry>): void;
  /** Called after the whole listing. */
  done(): void;
}

interface WatcherDeps {
  perl: string;
  rootFd: number;
  /** Host user of the watcher under a root server. */
  owner: Owner | null;
  /** Handles events. @returns `true` if any change was reported */
  onEvents(events: Buffer): boolean;
  /** Returns the number of bytes of events that one turn of the event loop can handle. */
  eventBudget(): number;
  /** Resolves when the sinks have room for the next events. `null` if they have room now. */
  drained(): Promise<void> | null;
  /** Called when the watcher has ended without `close`. */
  onLost(): void;
}

/** The process that holds a VM's inotify descriptor. Answers and events arrive in the order in which they happened. */
export class Watcher {
  /** Resolves with the errno of its start. */
  readonly ready: Promise<number>;
  readonly #deps: WatcherDeps;
  readonly #process: HelperProcess;
  readonly #waiting = new Map<number, WatchListener>();
  readonly #started = Promise.withResolvers<number>();
  readonly #ended: Promise<void>;
  #lastId = 0;
  #tick: NodeJS.Timeout | undefined;
  #closed = false;
  /** Bytes of events that are requested and have not arrived. */
  #requestedBytes = 0;

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
    this.ready = this.#started.promise;
    const { perl, rootFd, owner } = deps;
    this.#process = HelperProcess.start({
      name: "watcher",
      command: helperCommand(perl, PROGRAM, [ROOT_FD]),
      descriptors: [rootFd],
      owner,
    });
    // An error of `onLost` must not reach the caller of `close`, or end the server.
    this.#ended = this.#process.ended.then(() => this.#end()).catch(() => undefined);
    // Errors here follow from the process ending, which `onLost` reports.
    this.#read().catch(() => undefined);
    this.#requestEvents();
  }

  /** Requests fewer events if the budget has become smaller since the last request. */
  limitPendingEvents(): void {
    if (this.#deps.eventBudget() < this.#requestedBytes) this.#requestEvents();
  }

  /** Requests the next events. Another request before they arrive changes their maximum size. */
  #requestEvents(): void {
    this.#requestedBytes = this.#deps.eventBudget();
    this.#process.send("n", this.#requestedBytes);
  }

  /** Watches a directory by its path below the root, and lists it. The answers arrive in order with the events. */
  add(path: string, listener: WatchListener): void {
    const id = ++this.#lastId;
    this.#waiting.set(id, listener);
    this.#process.send("a", id, nameBytes(path === "/" ? "." : path.slice(1)));
  }

  remove(wd: number): void {
    this.#process.send("r", wd);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#process.kill();
    await this.#ended;
  }

  async #read(): Promise<void> {
    for await (const frame of this.#process.frames()) {
      const turn = pause();
      if (turn !== null) await turn;
      this.#onFrame(frame);
    }
  }

  #onFrame({ kind, number, body }: Frame): void {
    // The frame was sent before the watcher was closed.
    if (this.#closed) return;
    if (kind === "E") {
      this.#requestedBytes = 0;
      const hasReported = this.#deps.onEvents(body);
      this.#tick = setTimeout(() => void this.#next(), hasReported ? TICK_MS : QUIET_TICK_MS);
      return;
    }
    if (kind === "R") this.#started.resolve(number);
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    if (kind === "A") {
      const errno = body.readUInt32BE(0);
      if (errno !== 0) this.#waiting.delete(number);
      waiting.watched(errno, body.readUInt32BE(4));
    } else if (kind === "L" && body.length > 0) waiting.listed(entriesIn(body));
    else if (kind === "L") {
      this.#waiting.delete(number);
      waiting.done();
    }
  }

  async #next(): Promise<void> {
    await this.#deps.drained();
    // Node reads a pipe in one turn until it is empty, so the next request waits for another turn.
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.#closed) this.#requestEvents();
  }

  #end(): void {
    clearTimeout(this.#tick);
    this.#started.reject(new Error("the watcher has ended"));
    this.#started.promise.catch(() => undefined);
    if (this.#closed) return;
    this.#closed = true;
    this.#deps.onLost();
  }
}
