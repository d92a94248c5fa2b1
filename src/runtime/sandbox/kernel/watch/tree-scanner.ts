import { constants } from "node:os";
import { RescanTimer } from "./rescan-timer.ts";
import type { TreeModel } from "./tree-model.ts";
import type { WatchedDirectory } from "./watched-directory.ts";
import type { WatchListener } from "./watcher.ts";

/**
 * Directories that one watch registers with the kernel at the same time.
 * @unit directories
 * @past Further directories wait.
 */
const MAX_REQUESTS = 256;

const { errno: ERRNO } = constants;

/**
 * Errors of a directory that the watch leaves out: it was moved or removed, which events report, or it is a mount, or
 * the VM's user may not read it.
 */
const LEFT_OUT: readonly number[] = [
  ...[ERRNO.ENOENT, ERRNO.ENOTDIR, ERRNO.ELOOP, ERRNO.EXDEV, ERRNO.EACCES, ERRNO.ENAMETOOLONG],
];

/** The kernel's watches of a VM, which all its trees share. */
export interface KernelWatchTable {
  /** Asks the kernel to watch a directory. */
  add(path: string, listener: WatchListener): void;
  /** Records that the kernel watches a directory of this tree. */
  claim(directory: WatchedDirectory, wd: number): void;
  /** Releases the kernel's watch of a directory. */
  release(directory: WatchedDirectory): void;
  /** Lists the directories of this tree with a watch descriptor. */
  directoriesOf(wd: number): readonly WatchedDirectory[];
  /** Removes a kernel watch that no tree uses. */
  dropIfUnused(wd: number): void;
}

interface TreeScannerDeps {
  table: KernelWatchTable;
  appear(directory: WatchedDirectory, name: string, isDirectory: boolean): void;
  vanish(directory: WatchedDirectory, name: string): void;
  /** Called when changes of a directory are lost. */
  onLoss(): void;
  /** Called when the kernel does not watch the topmost or the watched directory. */
  onRefused(directory: WatchedDirectory, errno: number): void;
  /** Called after the whole listing of a directory. */
  onListed(directory: WatchedDirectory): void;
  /** Called after the last answer to a request. */
  onAnswered(): void;
  /** Called when all requests are answered. */
  onIdle(): void;
  /** Called after a rescan during which events were lost. */
  onLossDuringRescan(): void;
}

/**
 * Watches and lists every directory of a tree. Lists a directory after the kernel watches it, so that no change is
 * missed in between. Scans the whole tree again if events were lost or contradict the listings.
 */
export class TreeScanner {
  readonly #model: TreeModel;
  readonly #deps: TreeScannerDeps;
  /** Directories to watch or to watch again. `true`: with all known directories below. */
  readonly #pending = new Map<WatchedDirectory, boolean>();
  readonly #rescanTimer: RescanTimer;
  #unanswered = 0;
  #rescan: "none" | "running" | "again" = "none";
  /** The timer has started the running rescan. */
  #isTimed = false;
  #closed = false;

  constructor(model: TreeModel, deps: TreeScannerDeps) {
    this.#model = model;
    this.#deps = deps;
    this.#rescanTimer = new RescanTimer({
      isBusy: () => this.#rescan !== "none" || this.#unanswered + this.#pending.size > 0,
      isUnwatched: (directory) => directory.wd === undefined && model.has(directory),
      rescan: () => {
        this.#isTimed = true;
        this.#startRescan();
      },
    });
  }

  /** Watches a directory of the tree, if the watch includes subdirectories. */
  follow(parent: WatchedDirectory, directory: WatchedDirectory, { deep = false } = {}): void {
    if (this.#model.follows(parent) && this.#model.count(directory)) this.watch(directory, { deep });
  }

  /** Watches a directory; with `deep` also all known directories below. */
  watch(directory: WatchedDirectory, { deep = false } = {}): void {
    if (!this.#closed) this.#pending.set(directory, deep || (this.#pending.get(directory) ?? false));
  }

  /** Sends the requests for pending directories, with their current paths. */
  flush(): void {
    for (const [directory, deep] of this.#pending) {
      if (this.#unanswered >= MAX_REQUESTS) return;
      this.#pending.delete(directory);
      if (this.#model.has(directory)) this.#request(directory, deep);
    }
  }

  /** Scans the tree again when it is quiet, because events and listings contradict each other. */
  requestRescan(): void {
    this.#rescanTimer.request();
  }

  /** Scans the tree again, after the running rescan if there is one. */
  rescan(): void {
    if (this.#rescan === "none") this.#startRescan();
    else this.#rescan = "again";
  }

  /** Forgets all requests, after the end of the watcher process. */
  reset(): void {
    for (const directory of this.#model.top.all()) directory.wd = undefined;
    this.#pending.clear();
    this.#unanswered = 0;
    this.#rescan = "none";
    this.#isTimed = false;
  }

  close(): void {
    this.#closed = true;
    this.#rescanTimer.close();
    this.#pending.clear();
  }

  #startRescan(): void {
    this.#rescan = "running";
    this.#rescanTimer.begin();
    this.watch(this.#model.top, { deep: true });
    this.flush();
  }

  #request(directory: WatchedDirectory, deep: boolean): void {
    const request = ++directory.requests;
    const path = this.#model.realPathOf(directory);
    // Known names that the listing does not contain so far. After the whole listing they are gone.
    const unseen = new Set(directory.entries.keys());
    const isLatest = () => !this.#closed && this.#model.has(directory) && directory.requests === request;
    let isCurrent = () => isLatest() && this.#model.realPathOf(directory) === path;
    this.#unanswered += 1;
    this.#deps.table.add(path, {
      watched: (errno, wd) => {
        if (isCurrent()) {
          if (errno === 0) this.#watched(directory, wd, deep);
          else this.#unwatched(directory, errno);
        } else {
          if (errno === 0) this.#deps.table.dropIfUnused(wd);
          if (isLatest()) {
            // The directory has moved.
            this.#rescanTimer.request();
            this.watch(directory, { deep });
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
          this.#onName(directory, name, isDirectory, deep);
        }
        this.flush();
      },
      done: () => {
        if (isCurrent()) {
          for (const name of unseen) this.#deps.vanish(directory, name);
          this.#deps.onListed(directory);
        }
        this.#answered();
      },
    });
  }

  #watched(directory: WatchedDirectory, wd: number, deep: boolean): void {
    const { table } = this.#deps;
    // The directory was known but not watched, so changes in it were missed.
    if (this.#isTimed && deep && directory.wd !== wd) this.#deps.onLoss();
    if (directory.wd !== undefined && directory.wd !== wd) {
      this.#rescanTimer.request();
      table.release(directory);
    }
    for (const other of table.directoriesOf(wd)) {
      if (other === directory) continue;
      // Names have changed: the kernel's watch belongs to another directory of the tree.
      this.#rescanTimer.request();
      table.release(other);
      this.watch(other);
    }
    if (directory.wd !== undefined) return;
    directory.wd = wd;
    table.claim(directory, wd);
  }

  #unwatched(directory: WatchedDirectory, errno: number): void {
    this.#deps.table.release(directory);
    if (this.#model.isRoot(directory)) this.#deps.onRefused(directory, errno);
    else this.leaveOut(directory, errno);
  }

  /** Leaves out a directory that the kernel does not watch. */
  leaveOut(directory: WatchedDirectory, errno: number): void {
    if (!LEFT_OUT.includes(errno)) this.#deps.onLoss();
    else if (errno === ERRNO.ENOENT || errno === ERRNO.ENOTDIR)
      this.#rescanTimer.requestIfUnwatched(directory);
  }

  /** Handles a name of a listing. */
  #onName(directory: WatchedDirectory, name: string, isDirectory: boolean, deep: boolean): void {
    if (!this.#model.counts(directory, name)) return;
    const known = directory.entries.get(name);
    const isKnown = known !== undefined && (known !== "other") === isDirectory;
    if (!isKnown) this.#deps.appear(directory, name, isDirectory);
    else if (deep && known !== "other") this.follow(directory, known, { deep: true });
  }

  #answered(): void {
    this.#unanswered -= 1;
    this.#deps.onAnswered();
    this.flush();
    if (this.#unanswered + this.#pending.size > 0) return;
    this.#deps.onIdle();
    if (this.#rescan === "none") return;
    const again = this.#rescan === "again";
    this.#rescan = "none";
    this.#isTimed = false;
    this.#rescanTimer.end();
    if (again) this.#deps.onLossDuringRescan();
  }
}
