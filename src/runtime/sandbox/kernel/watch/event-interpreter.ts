import type { FileWatchChange } from "../../watches.ts";
import { IN, type InotifyEvent } from "./inotify.ts";
import type { TreeModel } from "./tree-model.ts";
import type { WatchedDirectory } from "./watched-directory.ts";

/**
 * Time for the second half of a rename.
 * @unit ms
 * @past The watch reports `deleted`.
 */
const MOVE_WAIT_MS = 100;

interface EventInterpreterDeps {
  report(change: FileWatchChange): void;
  /** Forgets a path: another file may have it from now on. */
  forget(path: string): void;
  /** Watches a directory of the tree, if the watch includes subdirectories. */
  follow(parent: WatchedDirectory, directory: WatchedDirectory): void;
  /** Asks the kernel to watch and list a directory once more. */
  watch(directory: WatchedDirectory): void;
  /** Scans the tree again later, because events and listings contradict each other. */
  requestRescan(): void;
  /** Called when the topmost directory is gone. */
  onTopGone(): void;
}

interface PendingMove {
  directory: WatchedDirectory;
  name: string;
  cookie: number;
  timer: NodeJS.Timeout;
}

/** Turns events and listings into changes of the model, and reports them. */
export class EventInterpreter {
  readonly #model: TreeModel;
  readonly #deps: EventInterpreterDeps;
  #move: PendingMove | undefined;

  constructor(model: TreeModel, deps: EventInterpreterDeps) {
    this.#model = model;
    this.#deps = deps;
  }

  /** Takes one event of a directory of this tree. */
  onEvent(directory: WatchedDirectory, { mask, name, cookie }: InotifyEvent): void {
    const isDirectory = (mask & IN.ISDIR) !== 0;
    const isSecondHalf = (mask & IN.MOVED_TO) !== 0 && this.#move?.cookie === cookie;
    if (!isSecondHalf) this.flushMove();
    if (!this.#model.has(directory)) return;
    if (name === "") {
      const isGone = (mask & (IN.DELETE_SELF | IN.UNMOUNT)) !== 0;
      if (isGone && directory === this.#model.top) this.#deps.onTopGone();
    } else if (!this.#model.counts(directory, name)) this.flushMove();
    else if ((mask & IN.CREATE) !== 0) this.appear(directory, name, isDirectory);
    else if ((mask & IN.DELETE) !== 0) this.vanish(directory, name);
    else if ((mask & IN.MOVED_FROM) !== 0) this.#startMove(directory, name, cookie);
    else if (isSecondHalf) this.#finishMove(directory, name, isDirectory);
    else if ((mask & IN.MOVED_TO) !== 0) this.#moveIn(directory, name, isDirectory);
    else if ((mask & (IN.MODIFY | IN.ATTRIB)) !== 0) this.#modify(directory, name, isDirectory);
  }

  appear(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    const known = directory.entries.get(name);
    if (known !== undefined) {
      const isUnchanged = (known !== "other") === isDirectory;
      // A listing has reported the entry before its event. A directory may have been replaced by another directory.
      if (isUnchanged) {
        if (known !== "other") this.#deps.follow(directory, known);
        return;
      }
      this.vanish(directory, name);
    }
    const child = this.#model.add(directory, name, isDirectory);
    if (child === undefined) return;
    this.#deps.report({ type: "created", path: this.#model.pathOf(directory, name), isDirectory });
    if (child !== "other") this.#deps.follow(directory, child);
  }

  vanish(directory: WatchedDirectory, name: string): void {
    const known = directory.entries.get(name);
    if (known === undefined) return;
    const path = this.#drop(directory, name);
    this.#deps.report({ type: "deleted", path, isDirectory: known !== "other" });
  }

  /** Reports an entry as deleted after MOVED_FROM without its MOVED_TO: the entry left the tree. */
  flushMove(): void {
    const move = this.#move;
    if (move === undefined) return;
    this.forgetMove();
    if (this.#model.has(move.directory)) this.vanish(move.directory, move.name);
  }

  forgetMove(): void {
    clearTimeout(this.#move?.timer);
    this.#move = undefined;
  }

  #modify(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    if (!directory.entries.has(name)) this.appear(directory, name, isDirectory);
    else this.#deps.report({ type: "modified", path: this.#model.pathOf(directory, name), isDirectory });
  }

  #startMove(directory: WatchedDirectory, name: string, cookie: number): void {
    if (!directory.entries.has(name)) return;
    const timer = setTimeout(() => this.flushMove(), MOVE_WAIT_MS).unref();
    this.#move = { directory, name, cookie, timer };
  }

  /** MOVED_TO without its MOVED_FROM: from outside the tree or from an ignored name, such as a temporary file. */
  #moveIn(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    if (directory.entries.get(name) === "other" && !isDirectory) this.#modify(directory, name, false);
    else this.appear(directory, name, isDirectory);
  }

  #finishMove(directory: WatchedDirectory, name: string, isDirectory: boolean): void {
    const { directory: source, name: oldName } = this.#move as PendingMove;
    const moved = source.entries.get(oldName);
    // A listing was ahead of the events: the entry has another place by now.
    const isStale =
      moved === undefined ||
      !this.#model.has(source) ||
      (moved !== "other" && directory.isBelow(moved)) ||
      (moved !== "other") !== isDirectory;
    if (isStale) {
      this.#deps.requestRescan();
      this.flushMove();
      if (this.#model.has(directory)) this.#moveIn(directory, name, isDirectory);
      return;
    }
    this.forgetMove();
    const oldPath = this.#model.pathOf(source, oldName);
    const replaced = directory.entries.get(name);
    if (replaced !== undefined) this.#drop(directory, name);
    this.#model.move(source, oldName, moved, directory, name);
    this.#deps.forget(oldPath);
    const path = this.#model.pathOf(directory, name);
    this.#deps.report({ type: "renamed", path, oldPath, isDirectory: moved !== "other" });
    // The request for the new path shows whether the kernel's watch belongs to this directory.
    if (moved !== "other") this.#deps.follow(directory, moved);
    // Two names may have been exchanged: the event of a rename does not name the entry that was at the new path.
    if (replaced !== undefined) this.#deps.watch(directory);
    if (replaced !== undefined && replaced !== "other") this.#deps.requestRescan();
  }

  /** @returns the path that the entry had */
  #drop(directory: WatchedDirectory, name: string): string {
    const path = this.#model.pathOf(directory, name);
    this.#model.remove(directory, name, directory.entries.get(name) ?? "other");
    this.#deps.forget(path);
    return path;
  }
}
