import { AgentVmError, vmStopped } from "../../../../api/errors.ts";
import { MAX_WATCHED_DIRECTORIES, MAX_WATCHED_ENTRIES } from "../../../../api/limits.ts";
import { codeOfErrno, posixError } from "../../posix.ts";
import type { FileWatch, FileWatchRequest, FileWatchSink } from "../../sandbox.ts";
import { syscallNumbers } from "../start/arch.ts";
import { eventsIn, IN } from "./inotify.ts";
import { WatchBudget, type WatchedDirectory } from "./watched-directory.ts";
import { WatchedTree } from "./watched-tree.ts";
import { Watcher } from "./watcher.ts";

/** A watcher that something on the host ends is started again, so often within this time. */
const MAX_RESTARTS = 5;
const RESTARTS_WITHIN_MS = 60_000;

/**
 * Events that are read at a time, in bytes: the fewer, the more watches may have to tell of each, since all of them do so
 * in one turn of the event loop.
 */
const MOST_EVENT_BYTES = 64 * 1024;
const LEAST_EVENT_BYTES = 4096;

export interface KernelWatchesParts {
  /** Where the VM's root is open. */
  rootFd: number;
  owner: { uid: number; gid: number } | null;
  perl: string | undefined;
  /** Directories that are followed. @default MAX_WATCHED_DIRECTORIES */
  maxDirectories?: number;
  /** Files and directories that are known. @default MAX_WATCHED_ENTRIES */
  maxEntries?: number;
}

/** All file watches of one VM: one inotify descriptor, in a process that runs while there is a watch. */
export class KernelWatches {
  readonly #parts: KernelWatchesParts;
  readonly #trees = new Set<WatchedTree>();
  readonly #entries: WatchBudget;
  readonly #directories: WatchBudget;
  /** Who watches under each number of the kernel's. */
  readonly #holders = new Map<number, { tree: WatchedTree; directory: WatchedDirectory }[]>();
  #watcher: Watcher | undefined;
  /** Watchers that have not ended yet. */
  readonly #ending = new Set<Promise<void>>();
  /** Calls that wait for it to start. */
  #waiting = 0;
  #restarts: number[] = [];
  #closed = false;

  constructor(parts: KernelWatchesParts) {
    this.#parts = parts;
    const { maxDirectories = MAX_WATCHED_DIRECTORIES, maxEntries = MAX_WATCHED_ENTRIES } = parts;
    this.#directories = new WatchBudget("MAX_WATCHED_DIRECTORIES", maxDirectories);
    this.#entries = new WatchBudget("MAX_WATCHED_ENTRIES", maxEntries);
  }

  async watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch> {
    if (this.#closed) throw vmStopped();
    const errno = await this.#started();
    if (errno !== 0) {
      throw posixError(
        codeOfErrno(errno),
        { syscall: "inotify_init1", path: request.path },
        "the kernel gives the VM's user no inotify instance (fs.inotify.max_user_instances)",
      );
    }
    if (this.#closed) throw vmStopped();
    const tree = this.#tree(request, sink);
    this.#trees.add(tree);
    this.#watcher?.temper();
    try {
      await tree.start();
      return { close: () => this.#remove(tree) };
    } catch (error) {
      this.#remove(tree);
      throw error;
    }
  }

  async #started(): Promise<number> {
    this.#waiting += 1;
    try {
      return await this.#running().ready;
    } catch (error) {
      if (this.#closed) throw vmStopped();
      throw error instanceof AgentVmError
        ? error
        : unavailable("the program that watches files did not start", error);
    } finally {
      this.#waiting -= 1;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const tree of this.#trees) tree.close();
    this.#trees.clear();
    this.#stop();
    await Promise.all(this.#ending);
  }

  #tree(request: FileWatchRequest, sink: FileWatchSink): WatchedTree {
    const tree: WatchedTree = new WatchedTree(request, sink, {
      entries: this.#entries,
      directories: this.#directories,
      add: (path, listener) => this.#running().add(path, listener),
      claim: (directory, wd) => {
        const holders = this.#holders.get(wd);
        if (holders === undefined) this.#holders.set(wd, [{ tree, directory }]);
        else holders.push({ tree, directory });
      },
      release: (directory) => this.#release(directory),
      holders: (wd) =>
        (this.#holders.get(wd) ?? []).flatMap((holder) => (holder.tree === tree ? [holder.directory] : [])),
      unwanted: (wd) => {
        if (!this.#holders.has(wd)) this.#watcher?.remove(wd);
      },
      ended: () => this.#remove(tree),
    });
    return tree;
  }

  #release(directory: WatchedDirectory): void {
    const { wd } = directory;
    if (wd === undefined) return;
    directory.wd = undefined;
    const left = (this.#holders.get(wd) ?? []).filter((holder) => holder.directory !== directory);
    if (left.length > 0) {
      this.#holders.set(wd, left);
      return;
    }
    this.#holders.delete(wd);
    this.#watcher?.remove(wd);
  }

  #remove(tree: WatchedTree): void {
    this.#trees.delete(tree);
    // With the last one the process goes, and need not be told of every directory.
    if (this.#trees.size + this.#waiting === 0) this.#stop();
    tree.close();
  }

  #running(): Watcher {
    this.#watcher ??= this.#start();
    return this.#watcher;
  }

  #start(): Watcher {
    const { perl, rootFd, owner } = this.#parts;
    const numbers = syscallNumbers();
    if (perl === undefined) throw unavailable("the server's host has no perl");
    if (numbers === undefined)
      throw unavailable(`watching files is not supported on the ${process.arch} architecture`);
    return new Watcher({
      ...{ perl, numbers, rootFd, owner },
      onEvents: (events) => this.#hear(events),
      appetite: () => Math.max(LEAST_EVENT_BYTES, Math.floor(MOST_EVENT_BYTES / (1 + this.#trees.size / 4))),
      drained: () => this.#drained(),
      onLost: () => this.#lost(),
    });
  }

  #stop(): void {
    const watcher = this.#watcher;
    if (watcher === undefined) return;
    this.#watcher = undefined;
    this.#holders.clear();
    const ended = watcher.close().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  #hear(events: Buffer): boolean {
    for (const tree of this.#trees) tree.begin();
    for (const event of eventsIn(events)) {
      if ((event.mask & IN.Q_OVERFLOW) !== 0) for (const tree of [...this.#trees]) tree.overflow();
      const holders = this.#holders.get(event.wd) ?? [];
      // The kernel has let go of it: mostly because the directory is gone.
      if ((event.mask & IN.IGNORED) !== 0) {
        this.#holders.delete(event.wd);
        for (const { tree, directory } of holders) tree.letGo(directory);
      } else for (const { tree, directory } of [...holders]) tree.hear(directory, event);
    }
    let isTold = false;
    for (const tree of [...this.#trees]) {
      tree.flush();
      isTold ||= tree.hasTold;
    }
    return isTold;
  }

  async #drained(): Promise<void> {
    for (const tree of [...this.#trees]) await tree.drained();
  }

  /** Something on the host has ended it. What it had seen last is not known. */
  #lost(): void {
    this.#watcher = undefined;
    this.#holders.clear();
    if (this.#trees.size === 0) return;
    const error = unavailable("the program that watches files ends again and again");
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < RESTARTS_WITHIN_MS), now];
    if (this.#restarts.length > MAX_RESTARTS) for (const tree of [...this.#trees]) tree.fail(error);
    else for (const tree of [...this.#trees]) tree.restart();
  }
}

function unavailable(why: string, cause?: unknown): AgentVmError {
  return new AgentVmError("watch_unavailable", `Files cannot be watched: ${why}`, {}, { cause });
}
