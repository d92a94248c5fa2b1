import { type ChildProcess, spawn } from "node:child_process";
import { constants, readFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { pause } from "../../pace.ts";
import { sealedStdio } from "../descriptors.ts";
import { encodeName } from "../rooted/names.ts";
import type { SyscallNumbers } from "../start/arch.ts";
import { SYSTEM_PATH } from "../tools.ts";
import { type DirectoryEntry, entriesIn } from "./inotify.ts";

const PROGRAM = readFileSync(new URL("./watcher.pl", import.meta.url), "utf8");

/** What stands before the entries of a listing. */
const LISTING_HEAD = 5;

/** Where the root lies in the child. */
const ROOT_FD = 3;

/** Between two readings of the kernel's events, in milliseconds: what comes in between comes together. */
const TICK_MS = 20;

/** The same where nothing was worth telling: a file action begins with a temporary file. */
const QUIET_TICK_MS = 1;

/** Told of what became of a directory that was to be watched. */
export interface WatchListener {
  /** @param errno 0, or why it is not watched, which is all then; @param wd names the watch in events */
  watched(errno: number, wd: number): void;
  /** A part of what was in it once it was watched. */
  listed(entries: Iterable<DirectoryEntry>): void;
  /** That was all of it. */
  done(): void;
}

export interface WatcherParts {
  perl: string;
  numbers: SyscallNumbers;
  rootFd: number;
  /** Whom it runs as, under a root server. */
  owner: { uid: number; gid: number } | null;
  /** @returns whether any were worth telling */
  onEvents(events: Buffer): boolean;
  /** How many bytes of events can be told of in one go. */
  appetite(): number;
  /** What to wait for before the next events are read. */
  drained(): Promise<void> | null;
  /** It has ended without having been closed. */
  onLost(): void;
}

/** The process that holds a VM's inotify descriptor. Answers and events come in the order in which they happened. */
export class Watcher {
  /** The errno of its start, once it has started. */
  readonly ready: Promise<number>;
  readonly #parts: WatcherParts;
  readonly #process: ChildProcess & { stdin: Writable; stdout: Readable };
  readonly #waiting = new Map<number, WatchListener>();
  #unsent: Buffer[] = [];
  readonly #started = Promise.withResolvers<number>();
  readonly #ended: Promise<void>;
  #lastId = 0;
  #tick: NodeJS.Timeout | undefined;
  #closed = false;
  /** Bytes of events that have been asked for and have not come. */
  #asked = 0;

  constructor(parts: WatcherParts) {
    this.#parts = parts;
    this.ready = this.#started.promise;
    const { perl, numbers, rootFd, owner } = parts;
    const { openat2, inotify_init1, inotify_add_watch, inotify_rm_watch, getdents64 } = numbers;
    const settings = [
      ...[ROOT_FD, constants.O_DIRECTORY, constants.O_NOFOLLOW],
      ...[openat2, inotify_init1, inotify_add_watch, inotify_rm_watch, getdents64],
    ];
    // -f: nothing of the site's own before the program.
    this.#process = spawn(perl, ["-f", "-e", PROGRAM, "--", ...settings.map(String)], {
      stdio: sealedStdio(["pipe", "pipe", "ignore", rootFd]),
      cwd: "/",
      env: { PATH: SYSTEM_PATH },
      detached: true,
      ...(owner ?? {}),
    }) as ChildProcess & { stdin: Writable; stdout: Readable };
    this.#ended = new Promise((resolve) => {
      const end = () => {
        this.#end();
        resolve();
      };
      this.#process.once("close", end);
      this.#process.once("error", end);
    });
    this.#process.stdin.on("error", () => undefined);
    // What is cut off by its end is told by that.
    this.#read().catch(() => undefined);
    this.#ask();
  }

  /** Fewer events can be told of in one go than when they were asked for. */
  temper(): void {
    if (this.#parts.appetite() < this.#asked) this.#ask();
  }

  /** Asks for the next events. Who asks again before they come, changes how many may come. */
  #ask(): void {
    this.#asked = this.#parts.appetite();
    this.#tell("n", this.#asked);
  }

  /** Watches a directory, by its path below the root, and lists it. Its answer comes among the events. */
  add(path: string, listener: WatchListener): void {
    const id = ++this.#lastId;
    this.#waiting.set(id, listener);
    const encoded = encodeName(path === "/" ? "." : path.slice(1));
    this.#tell("a", id, typeof encoded === "string" ? Buffer.from(encoded, "utf8") : encoded);
  }

  remove(wd: number): void {
    this.#tell("r", wd);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  #tell(what: "a" | "r" | "n", number: number, path: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(9);
    head.writeUInt32BE(5 + path.length, 0);
    head.write(what, 4, "latin1");
    head.writeUInt32BE(number, 5);
    if (this.#unsent.length === 0) queueMicrotask(() => this.#send());
    this.#unsent.push(head, path);
  }

  /** What is told together is written together. */
  #send(): void {
    this.#process.stdin.write(Buffer.concat(this.#unsent));
    this.#unsent = [];
  }

  async #read(): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const data of this.#process.stdout) {
      rest = rest.length === 0 ? (data as Buffer) : Buffer.concat([rest, data as Buffer]);
      let offset = 0;
      while (rest.length >= offset + 4) {
        const end = offset + 4 + rest.readUInt32BE(offset);
        if (rest.length < end) break;
        const turn = pause();
        if (turn !== null) await turn;
        this.#hear(rest.subarray(offset + 4, end));
        offset = end;
      }
      rest = rest.subarray(offset);
    }
  }

  #hear(frame: Buffer): void {
    // What was on its way when it was closed.
    if (this.#closed) return;
    const what = String.fromCharCode(frame[0] ?? 0);
    if (what === "E") {
      this.#asked = 0;
      const isTold = this.#parts.onEvents(frame.subarray(1));
      this.#tick = setTimeout(() => void this.#next(), isTold ? TICK_MS : QUIET_TICK_MS);
      return;
    }
    const number = frame.readUInt32BE(1);
    if (what === "R") this.#started.resolve(number);
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    if (what === "A") {
      const errno = frame.readUInt32BE(5);
      if (errno !== 0) this.#waiting.delete(number);
      waiting.watched(errno, frame.readUInt32BE(9));
    } else if (frame.length > LISTING_HEAD) waiting.listed(entriesIn(frame.subarray(LISTING_HEAD)));
    else {
      this.#waiting.delete(number);
      waiting.done();
    }
  }

  async #next(): Promise<void> {
    await this.#parts.drained();
    // A pipe is read on in the same turn as long as there is something in it.
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.#closed) this.#ask();
  }

  #end(): void {
    clearTimeout(this.#tick);
    this.#process.stdin.destroy();
    this.#process.stdout.destroy();
    this.#started.reject(new Error("the watcher has ended"));
    this.#started.promise.catch(() => undefined);
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.onLost();
  }
}
