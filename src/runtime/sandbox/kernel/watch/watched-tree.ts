import { constants } from "node:os";
import { basename, dirname } from "node:path/posix";
import { limitExceeded, vmStopped } from "../../../../api/errors.ts";
import { type Call, codeOfErrno, posixError } from "../../posix.ts";
import type { FileWatchChange, FileWatchRequest, FileWatchSink } from "../../sandbox.ts";
import { isTemporaryName } from "../../temporary.ts";
import { Doubts } from "./doubts.ts";
import { IN, type InotifyEvent } from "./inotify.ts";
import { type WatchBudget, WatchedDirectory } from "./watched-directory.ts";
import type { WatchListener } from "./watcher.ts";

/** The second half of a rename comes with the first, or at the head of what the kernel hands over next. */
const MOVE_WAIT_MS = 100;

/** Directories that the kernel is asked to watch at the same time. */
const MAX_ASKED = 256;

const { errno: ERRNO } = constants;

/** The directory is being moved or removed, is mounted from elsewhere, or may not be read. The first are told by events. */
const PASSED_OVER: readonly number[] = [
  ...[ERRNO.ENOENT, ERRNO.ENOTDIR, ERRNO.ELOOP, ERRNO.EXDEV, ERRNO.EACCES, ERRNO.ENAMETOOLONG],
];

/** What a tree needs of the watches of its VM. */
export interface TreeParts {
  entries: WatchBudget;
  directories: WatchBudget;
  /** Asks the kernel to watch a directory. */
  add(path: string, listener: WatchListener): void;
  /** A tree's directory has got or lost its kernel watch. */
  claim(directory: WatchedDirectory, wd: number): void;
  release(directory: WatchedDirectory): void;
  /** What is watched in this tree under a number. */
  holders(wd: number): readonly WatchedDirectory[];
  /** The kernel watches this though nobody wants it to. */
  unwanted(wd: number): void;
  ended(): void;
}

interface PendingMove {
  directory: WatchedDirectory;
  name: string;
  cookie: number;
  timer: NodeJS.Timeout;
}

/**
 * One watch: which directories it follows, and what is known to be in them. Every directory is listed once the kernel
 * watches it, so that nothing made before that is missed; events and listings may tell the same thing twice, and what is
 * known decides what is news.
 *
 * The topmost directory is the one that holds the watched name, so that the end of what is watched is told, and its
 * coming again.
 */
export class WatchedTree {
  readonly #request: FileWatchRequest;
  readonly #sink: FileWatchSink;
  readonly #parts: TreeParts;
  readonly #call: Call;
  readonly #top = new WatchedDirectory("");
  readonly #topPath: string;
  /** The one name of the topmost directory that counts; all of `/` do. */
  readonly #only: string | undefined;
  readonly #exclude: ReadonlySet<string>;
  readonly #ready = Promise.withResolvers<void>();
  #isReady = false;
  /** Directories that the kernel is to be asked to watch, or once more, and whether also all below them. */
  readonly #pending = new Map<WatchedDirectory, boolean>();
  #unanswered = 0;
  #failure: Error | undefined;
  #move: PendingMove | undefined;
  /** Paths that were told to be new or modified since the last reading of the kernel's events. */
  #told = new Set<string>();
  #toldOverflow = false;
  #hasTold = false;
  #rescan: "none" | "running" | "again" = "none";
  readonly #doubts = new Doubts({
    isBusy: () => this.#rescan !== "none" || this.#unanswered + this.#pending.size > 0,
    isUnwatched: (directory) => directory.wd === undefined && directory.isBelow(this.#top),
    look: () => {
      this.#isDoubted = true;
      this.#lookAgain();
    },
  });
  /** The look that goes on is for a doubt. */
  #isDoubted = false;
  #closed = false;

  constructor(request: FileWatchRequest, sink: FileWatchSink, parts: TreeParts) {
    this.#request = request;
    this.#sink = sink;
    this.#parts = parts;
    this.#call = { syscall: "watch", path: request.path };
    this.#exclude = new Set(request.exclude);
    const { realPath } = request;
    this.#only = realPath === "/" ? undefined : basename(realPath);
    this.#topPath = dirname(realPath);
  }

  /** Resolves when everything there is is known, and watched. */
  async start(): Promise<void> {
    this.#top.isCounted = this.#take(this.#parts.directories);
    this.#watch(this.#top);
    this.flush();
    await this.#ready.promise;
  }

  /** @param reason why it ends, for who still waits for its start */
  close(reason: Error = vmStopped()): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#move?.timer);
    this.#doubts.close();
    this.#pending.clear();
    this.#forget(this.#top);
    if (!this.#isReady) this.#failure ??= reason;
    this.#settle();
  }

  drained(): Promise<void> | null {
    return this.#sink.drained();
  }

  /** One event about a directory of this tree. */
  hear(directory: WatchedDirectory, event: InotifyEvent): void {
    const { mask, name, cookie } = event;
    const isDirectory = (mask & IN.ISDIR) !== 0;
    const isSecondHalf = (mask & IN.MOVED_TO) !== 0 && this.#move?.cookie === cookie;
    if (!isSecondHalf) this.#flushMove();
    if (!directory.isBelow(this.#top)) return;
    if (name === "") {
      if ((mask & (IN.DELETE_SELF | IN.UNMOUNT)) !== 0 && directory === this.#top) this.#end();
    } else if (!this.#counts(directory, name)) this.#flushMove();
    else if ((mask & IN.CREATE) !== 0) this.#appear(directory, name, isDirectory);
    else if ((mask & IN.DELETE) !== 0) this.#vanish(directory, name);
    else if ((mask & IN.MOVED_FROM) !== 0) this.#leave(directory, name, cookie);
    else if (isSecondHalf) this.#arrive(directory, name, isDirectory);
    else if ((mask & IN.MOVED_TO) !== 0) this.#comeIn(directory, name, isDirectory);
    else if ((mask & (IN.MODIFY | IN.ATTRIB)) !== 0) this.#modify(directory, name, isDirectory);
  }

  /** Events come that the kernel has handed over together. */
  begin(): void {
    this.#told.clear();
    this.#toldOverflow = false;
    this.#hasTold = false;
  }

  /** Whether anything was told since they came. */
  get hasTold(): boolean {
    return this.#hasTold;
  }

  /** Asks for what is to be watched now: each directory once, wherever it has been moved to meanwhile. */
  flush(): void {
    for (const [directory, deep] of this.#pending) {
      if (this.#unanswered >= MAX_ASKED) return;
      this.#pending.delete(directory);
      if (directory.isBelow(this.#top)) this.#ask(directory, deep);
    }
  }

  /** The kernel does not watch a directory any more. */
  letGo(directory: WatchedDirectory): void {
    directory.wd = undefined;
    this.#watch(directory);
  }

  /** Events are lost: the subscriber is told, and everything is looked at again. */
  overflow(): void {
    if (this.#closed) return;
    this.#flushMove();
    this.#tellOverflow();
    if (this.#rescan !== "none") {
      this.#rescan = "again";
      return;
    }
    this.#lookAgain();
  }

  #lookAgain(): void {
    this.#rescan = "running";
    this.#doubts.begin();
    this.#watch(this.#top, true);
    this.flush();
  }

  /** The kernel's watches are gone with their process; another one is there. */
  restart(): void {
    for (const directory of this.#top.all()) directory.wd = undefined;
    this.#pending.clear();
    this.#unanswered = 0;
    this.#rescan = "none";
    this.#isDoubted = false;
    this.begin();
    this.overflow();
  }

  /** There will be no more events. */
  fail(error: Error): void {
    if (this.#closed) return;
    this.#failure ??= error;
    this.#end();
  }

  // ----------------------------------------------------------------- events

  #appear(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    const known = directory.entries.get(name);
    if (known !== undefined) {
      const isSame = (known !== "other") === isDirectory;
      // Listed before its event came. A directory may be another one by now.
      if (isSame) {
        if (known !== "other") this.#follow(directory, known);
        return;
      }
      this.#vanish(directory, name);
    }
    if (!this.#take(this.#parts.entries)) return;
    const child = isDirectory ? new WatchedDirectory(name, directory) : "other";
    directory.entries.set(name, child);
    this.#tell({ type: "created", path: this.#pathOf(directory, name), isDirectory });
    if (child !== "other") this.#follow(directory, child);
  }

  #vanish(directory: WatchedDirectory, name: string): void {
    const known = directory.entries.get(name);
    if (known === undefined) return;
    const path = this.#pathOf(directory, name);
    this.#drop(directory, name, known);
    this.#tell({ type: "deleted", path, isDirectory: known !== "other" });
  }

  #modify(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    if (!directory.entries.has(name)) this.#appear(directory, name, isDirectory);
    else this.#tell({ type: "modified", path: this.#pathOf(directory, name), isDirectory });
  }

  #leave(directory: WatchedDirectory, name: string, cookie: number): void {
    if (!directory.entries.has(name)) return;
    const timer = setTimeout(() => this.#flushMove(), MOVE_WAIT_MS).unref();
    this.#move = { directory, name, cookie, timer };
  }

  /** What left and did not arrive has left the tree. */
  #flushMove(): void {
    const move = this.#move;
    if (move === undefined) return;
    clearTimeout(move.timer);
    this.#move = undefined;
    if (move.directory.isBelow(this.#top)) this.#vanish(move.directory, move.name);
  }

  /** From outside of the tree, or from a name that does not count; file actions replace a file like that. */
  #comeIn(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    if (directory.entries.get(name) === "other" && !isDirectory) this.#modify(directory, name, false);
    else this.#appear(directory, name, isDirectory);
  }

  #arrive(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    const { directory: source, name: oldName, timer } = this.#move as PendingMove;
    const moved = source.entries.get(oldName);
    // A listing was ahead of the events: what they are about is not where they say any more.
    const isStale =
      moved === undefined ||
      !source.isBelow(this.#top) ||
      (moved !== "other" && directory.isBelow(moved)) ||
      (moved !== "other") !== isDirectory;
    if (isStale) {
      this.#doubts.add();
      this.#flushMove();
      if (directory.isBelow(this.#top)) this.#comeIn(directory, name, isDirectory);
      return;
    }
    clearTimeout(timer);
    this.#move = undefined;
    const oldPath = this.#pathOf(source, oldName);
    const replaced = directory.entries.get(name);
    if (replaced !== undefined) this.#drop(directory, name, replaced);
    source.entries.delete(oldName);
    directory.entries.set(name, moved);
    if (moved !== "other") {
      moved.name = name;
      moved.parent = directory;
    }
    this.#told.delete(oldPath);
    const path = this.#pathOf(directory, name);
    this.#tell({ type: "renamed", path, oldPath, isDirectory: moved !== "other" });
    // Whether the kernel's watch is the right one is seen when it is asked for again by the new path.
    if (moved !== "other") this.#follow(directory, moved);
    // Two names may have been exchanged: a rename over a name tells nothing of what was there.
    if (replaced !== undefined) this.#watch(directory);
    if (replaced !== undefined && replaced !== "other") this.#doubts.add();
  }

  // ---------------------------------------------------------------- watching

  #follow(parent: WatchedDirectory, directory: WatchedDirectory, deep = false): void {
    if (!this.#follows(parent)) return;
    directory.isCounted ||= this.#take(this.#parts.directories);
    if (directory.isCounted) this.#watch(directory, deep);
  }

  #watch(directory: WatchedDirectory, deep = false): void {
    if (!this.#closed) this.#pending.set(directory, deep || (this.#pending.get(directory) ?? false));
  }

  #ask(directory: WatchedDirectory, deep: boolean): void {
    const request = ++directory.requests;
    const path = this.#realPathOf(directory);
    // Names that have not been listed; those that stay have gone.
    const unseen = new Set(directory.entries.keys());
    let isCurrent = () =>
      !this.#closed &&
      directory.isBelow(this.#top) &&
      directory.requests === request &&
      this.#realPathOf(directory) === path;
    this.#unanswered += 1;
    this.#parts.add(path, {
      watched: (errno, wd) => {
        if (isCurrent()) {
          if (errno === 0) this.#watched(directory, wd, deep);
          else this.#unwatched(directory, errno);
        } else {
          if (errno === 0) this.#parts.unwanted(wd);
          const hasMoved = !this.#closed && directory.isBelow(this.#top) && directory.requests === request;
          if (hasMoved) {
            this.#doubts.add();
            this.#watch(directory, deep);
          }
          isCurrent = () => false;
        }
        if (errno !== 0) this.#answered();
        else this.flush();
      },
      listed: (entries) => {
        if (!isCurrent()) return;
        for (const { name, isDirectory } of entries) {
          unseen.delete(name);
          this.#see(directory, name, isDirectory, deep);
        }
        this.flush();
      },
      done: () => {
        if (isCurrent()) {
          for (const name of unseen) this.#vanish(directory, name);
          this.#checkRoot(directory);
        }
        this.#answered();
      },
    });
  }

  #watched(directory: WatchedDirectory, wd: number, deep: boolean): void {
    // Known, but not watched: what has happened in it nobody knows.
    if (this.#isDoubted && deep && directory.wd !== wd) this.#tellOverflow();
    if (directory.wd !== undefined && directory.wd !== wd) {
      this.#doubts.add();
      this.#parts.release(directory);
    }
    for (const other of this.#parts.holders(wd)) {
      if (other === directory) continue;
      // Names have changed meanwhile: who had it is another directory.
      this.#doubts.add();
      this.#parts.release(other);
      this.#watch(other);
    }
    if (directory.wd !== undefined) return;
    directory.wd = wd;
    this.#parts.claim(directory, wd);
  }

  #unwatched(directory: WatchedDirectory, errno: number): void {
    this.#parts.release(directory);
    const isTop = directory === this.#top;
    const isRoot = isTop || (this.#only !== undefined && directory.parent === this.#top);
    if (!this.#isReady && isRoot) this.#failure ??= this.#refusal(errno);
    else if (isTop) this.#end();
    else if (!PASSED_OVER.includes(errno)) this.#tellOverflow();
    else if (errno === ERRNO.ENOENT || errno === ERRNO.ENOTDIR) {
      this.#doubts.miss(directory);
    }
  }

  #refusal(errno: number): Error {
    if (errno === ERRNO.ENOSPC)
      return posixError("ENOSPC", this.#call, "the host's fs.inotify.max_user_watches is reached");
    return posixError(codeOfErrno(errno), this.#call);
  }

  /** A name that a listing has. */
  #see(directory: WatchedDirectory, name: string, isDirectory: boolean, deep: boolean): void {
    if (!this.#counts(directory, name)) return;
    const known = directory.entries.get(name);
    const isKnown = known !== undefined && (known !== "other") === isDirectory;
    if (!isKnown) this.#appear(directory, name, isDirectory);
    else if (deep && known !== "other") this.#follow(directory, known, true);
  }

  #checkRoot(directory: WatchedDirectory): void {
    if (this.#isReady || directory !== this.#top || this.#only === undefined) return;
    if (!directory.entries.has(this.#only)) this.#failure ??= posixError("ENOENT", this.#call);
  }

  #answered(): void {
    this.#unanswered -= 1;
    if (this.#failure !== undefined && !this.#isReady) this.close();
    this.flush();
    if (this.#unanswered + this.#pending.size > 0) return;
    this.#settle();
    if (this.#rescan === "none") return;
    const again = this.#rescan === "again";
    this.#rescan = "none";
    this.#isDoubted = false;
    this.#doubts.end();
    if (again) this.overflow();
  }

  #settle(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    if (this.#failure !== undefined) this.#ready.reject(this.#failure);
    else this.#ready.resolve();
  }

  // --------------------------------------------------------------- the tree

  /** Whether what has this name in a directory belongs to the watch. */
  #counts(directory: WatchedDirectory, name: string): boolean {
    if (isTemporaryName(name)) return false;
    if (directory === this.#top && this.#only !== undefined) return name === this.#only;
    return !this.#exclude.has(name);
  }

  /** Whether directories in a directory are watched as well. */
  #follows(directory: WatchedDirectory): boolean {
    return this.#request.recursive || (directory === this.#top && this.#only !== undefined);
  }

  #drop(directory: WatchedDirectory, name: string, known: WatchedDirectory | "other"): void {
    directory.entries.delete(name);
    this.#parts.entries.give();
    this.#told.delete(this.#pathOf(directory, name));
    if (known === "other") return;
    this.#forget(known);
    known.parent = undefined;
  }

  /** Gives back what a directory and all below it has taken, but for its own entry. */
  #forget(top: WatchedDirectory): void {
    for (const directory of top.all()) {
      this.#parts.release(directory);
      this.#parts.entries.give(directory.entries.size);
      if (directory.isCounted) this.#parts.directories.give();
      directory.isCounted = false;
    }
  }

  /** What the budget does not allow is not followed; who has just asked for it is refused. */
  #take(budget: WatchBudget): boolean {
    if (budget.take()) return true;
    if (this.#isReady) this.#tellOverflow();
    else this.#failure ??= limitExceeded(budget.name, budget.maximum, "Too much is watched in the VM");
    return false;
  }

  /** As the subscriber names it: below the path that was asked for, links in it and all. */
  #pathOf(directory: WatchedDirectory, name: string): string {
    const names = [...directory.way, name];
    if (this.#only !== undefined) names.shift();
    const { path } = this.#request;
    return names.length === 0 ? path : `${path === "/" ? "" : path}/${names.join("/")}`;
  }

  #realPathOf(directory: WatchedDirectory): string {
    return [this.#topPath === "/" ? "" : this.#topPath, ...directory.way].join("/") || "/";
  }

  #tell(change: FileWatchChange): void {
    if (!this.#isReady || this.#closed) return;
    const { type, path } = change;
    if (type === "modified" && this.#told.has(path)) return;
    if (type === "created" || type === "modified") this.#told.add(path);
    this.#hasTold = true;
    this.#sink.tell(change);
  }

  #tellOverflow(): void {
    if (this.#toldOverflow) return;
    this.#toldOverflow = true;
    this.#tell({ type: "overflow", path: this.#request.path });
  }

  #end(): void {
    this.#flushMove();
    if (this.#only !== undefined) this.#vanish(this.#top, this.#only);
    this.#tell({ type: "ended", path: this.#request.path });
    this.close();
    this.#parts.ended();
  }
}
