import { AgentVmError, vmStopped } from "../../../../api/errors.ts";
import { pause } from "../../../../base/pace.ts";
import type { Owner } from "../../own-uids.ts";
import { codeOfErrno, posixError } from "../../posix.ts";
import type { TreeAccount, TreeBudget } from "../../tree-budget.ts";
import type { FileWatch, FileWatchRequest, FileWatchSink } from "../../watches.ts";
import { MAX_WATCHED_DIRECTORIES, MAX_WATCHED_ENTRIES } from "../limits.ts";
import { eventsIn, IN } from "./inotify.ts";
import { WatchBudget, type WatchedDirectory } from "./watched-directory.ts";
import { WatchedTree } from "./watched-tree.ts";
import { Watcher } from "./watcher.ts";

/**
 * Restarts of a VM's watcher within a minute, also failed restarts.
 * @unit restarts
 * @past The watches of the VM end.
 */
const MAX_RESTARTS = 5;
const RESTARTS_WITHIN_MS = 60_000;

/** Pause after a failed restart. The host may have no process or descriptor left for a moment. */
const RESTART_PAUSE_MS = 250;

/**
 * Bytes of events that one read returns. With more watches a read returns less, since all watches handle the events in
 * one turn of the event loop.
 */
const MAX_EVENT_BYTES = 64 * 1024;
const MIN_EVENT_BYTES = 4096;

/** Memory of a watched directory, and of an entry with the longest name. */
const DIRECTORY_BYTES = 640;
const ENTRY_BYTES = 320;

export interface KernelWatchesDeps {
  /** Descriptor of the VM's root. */
  rootFd: number;
  /** Host user of the watcher under a root server. */
  owner: Owner | null;
  perl: string;
  /** Memory of the VM for readings of its tree. @default unlimited */
  budget?: TreeBudget;
  /** Limit of watched directories. @default MAX_WATCHED_DIRECTORIES */
  maxDirectories?: number;
  /** Limit of known files and directories. @default MAX_WATCHED_ENTRIES */
  maxEntries?: number;
}

/**
 * All file watches of one VM. They share an inotify descriptor of a watcher process, which runs while there is a watch.
 */
export class KernelWatches {
  readonly #deps: KernelWatchesDeps;
  readonly #trees = new Set<WatchedTree>();
  /** Pays for the known entries and directories. */
  readonly #account: TreeAccount | undefined;
  readonly #entries: WatchBudget;
  readonly #directories: WatchBudget;
  /** Directories by the kernel's watch descriptor. */
  readonly #watched = new Map<number, { tree: WatchedTree; directory: WatchedDirectory }[]>();
  #watcher: Watcher | undefined;
  /** Watchers that have not ended yet. */
  readonly #ending = new Set<Promise<void>>();
  /** Number of calls that wait for the watcher's start. */
  #waiting = 0;
  #restarts: number[] = [];
  #restartTimer: NodeJS.Timeout | undefined;
  /** `true` while watches wait for the restart of their lost watcher. */
  #isLost = false;
  #closed = false;

  constructor(deps: KernelWatchesDeps) {
    this.#deps = deps;
    const { maxDirectories = MAX_WATCHED_DIRECTORIES, maxEntries = MAX_WATCHED_ENTRIES } = deps;
    const account = deps.budget?.open();
    this.#account = account;
    const memory = (each: number) => account && { account, each };
    this.#directories = new WatchBudget("MAX_WATCHED_DIRECTORIES", maxDirectories, memory(DIRECTORY_BYTES));
    this.#entries = new WatchBudget("MAX_WATCHED_ENTRIES", maxEntries, memory(ENTRY_BYTES));
  }

  async watch(request: FileWatchRequest, sink: FileWatchSink): Promise<FileWatch> {
    // Starting a program holds the event loop for some milliseconds.
    await pause();
    if (this.#closed) throw vmStopped();
    const errno = await this.#startedErrno();
    if (errno !== 0) {
      throw posixError(
        codeOfErrno(errno),
        { syscall: "inotify_init1", path: request.path },
        "the kernel refuses an inotify instance (its limit is fs.inotify.max_user_instances)",
      );
    }
    if (this.#closed) throw vmStopped();
    const tree = this.#tree(request, sink);
    this.#trees.add(tree);
    this.#watcher?.limitPendingEvents();
    try {
      await tree.start();
      return { close: () => this.#remove(tree) };
    } catch (error) {
      this.#remove(tree);
      throw error;
    }
  }

  /** Starts the watcher if it does not run. @returns the errno of its start */
  async #startedErrno(): Promise<number> {
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
    clearTimeout(this.#restartTimer);
    for (const tree of this.#trees) tree.close();
    this.#trees.clear();
    this.#stop();
    this.#account?.close();
    await Promise.all(this.#ending);
  }

  #tree(request: FileWatchRequest, sink: FileWatchSink): WatchedTree {
    const tree: WatchedTree = new WatchedTree(request, sink, {
      entries: this.#entries,
      directories: this.#directories,
      add: (path, listener) => {
        // The restart watches the whole tree again.
        if (!this.#isLost) this.#running().add(path, listener);
      },
      claim: (directory, wd) => {
        const watched = this.#watched.get(wd);
        if (watched === undefined) this.#watched.set(wd, [{ tree, directory }]);
        else watched.push({ tree, directory });
      },
      release: (directory) => this.#release(directory),
      directoriesOf: (wd) =>
        (this.#watched.get(wd) ?? []).flatMap((watched) =>
          watched.tree === tree ? [watched.directory] : [],
        ),
      dropIfUnused: (wd) => {
        if (!this.#watched.has(wd)) this.#watcher?.remove(wd);
      },
      ended: () => this.#remove(tree),
    });
    return tree;
  }

  #release(directory: WatchedDirectory): void {
    const { wd } = directory;
    if (wd === undefined) return;
    directory.wd = undefined;
    const left = (this.#watched.get(wd) ?? []).filter((watched) => watched.directory !== directory);
    if (left.length > 0) {
      this.#watched.set(wd, left);
      return;
    }
    this.#watched.delete(wd);
    this.#watcher?.remove(wd);
  }

  #remove(tree: WatchedTree): void {
    this.#trees.delete(tree);
    // The watcher ends with the last tree, before the tree would release each directory.
    if (this.#trees.size + this.#waiting === 0) this.#stop();
    tree.close();
  }

  #running(): Watcher {
    if (this.#watcher !== undefined) return this.#watcher;
    const watcher = this.#start();
    this.#watcher = watcher;
    if (this.#isLost) {
      this.#isLost = false;
      clearTimeout(this.#restartTimer);
      for (const tree of [...this.#trees]) tree.restart();
    }
    return watcher;
  }

  #start(): Watcher {
    const { perl, rootFd, owner } = this.#deps;
    return new Watcher({
      ...{ perl, rootFd, owner },
      onEvents: (events) => this.#onEvents(events),
      eventBudget: () => Math.max(MIN_EVENT_BYTES, Math.floor(MAX_EVENT_BYTES / (1 + this.#trees.size / 4))),
      drained: () => this.#drained(),
      onLost: () => this.#lost(),
    });
  }

  #stop(): void {
    const watcher = this.#watcher;
    if (watcher === undefined) return;
    this.#watcher = undefined;
    this.#watched.clear();
    const ended = watcher.close().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  #onEvents(events: Buffer): boolean {
    for (const tree of this.#trees) tree.begin();
    for (const event of eventsIn(events)) {
      if ((event.mask & IN.Q_OVERFLOW) !== 0) for (const tree of [...this.#trees]) tree.overflow();
      const watched = this.#watched.get(event.wd) ?? [];
      // The kernel has removed the watch, usually because the directory is gone.
      if ((event.mask & IN.IGNORED) !== 0) {
        this.#watched.delete(event.wd);
        for (const { tree, directory } of watched) tree.onUnwatched(directory);
      } else for (const { tree, directory } of [...watched]) tree.onEvent(directory, event);
    }
    let hasReported = false;
    for (const tree of [...this.#trees]) {
      tree.flush();
      hasReported ||= tree.hasReported;
    }
    return hasReported;
  }

  async #drained(): Promise<void> {
    for (const tree of [...this.#trees]) await tree.drained();
  }

  /** Restarts the watcher after a process of the host has killed it. Its last events are lost. */
  #lost(): void {
    this.#watcher = undefined;
    this.#watched.clear();
    this.#restart();
  }

  #restart(): void {
    this.#isLost = false;
    if (this.#trees.size === 0) return;
    const now = performance.now();
    this.#restarts = [...this.#restarts.filter((at) => now - at < RESTARTS_WITHIN_MS), now];
    if (this.#restarts.length > MAX_RESTARTS) {
      const error = unavailable(`the watcher failed more than ${MAX_RESTARTS} times within a minute`);
      for (const tree of [...this.#trees]) tree.fail(error);
      return;
    }
    this.#isLost = true;
    try {
      this.#running();
    } catch {
      this.#restartTimer = setTimeout(() => this.#restart(), RESTART_PAUSE_MS).unref();
    }
  }
}

function unavailable(why: string, cause?: unknown): AgentVmError {
  return new AgentVmError("watch_unavailable", `Files cannot be watched: ${why}`, {}, { cause });
}
