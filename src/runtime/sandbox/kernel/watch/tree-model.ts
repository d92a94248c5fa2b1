import { basename, dirname } from "node:path/posix";
import { isTemporaryName } from "../../names.ts";
import type { FileWatchRequest } from "../../watches.ts";
import { type WatchBudget, WatchedDirectory } from "./watched-directory.ts";

/** An entry of a directory: a directory of the tree, or anything else. */
export type Known = WatchedDirectory | "other";

interface TreeModelDeps {
  entries: WatchBudget;
  directories: WatchBudget;
  /** Releases the kernel's watch of a directory. */
  release(directory: WatchedDirectory): void;
  /** Called when a budget has no room, so that an entry or a directory is left out. */
  onFull(error: Error): void;
}

/**
 * The known directories of one watch and the names in them.
 *
 * The topmost directory is the parent of the watched name, so that the tree sees the name being removed and made again.
 */
export class TreeModel {
  readonly top = new WatchedDirectory("");
  /** The watched path as the subscriber names it. */
  readonly path: string;
  /** The one name of the topmost directory that counts. `undefined` for a watch of `/`, whose names all count. */
  readonly only: string | undefined;
  readonly #topPath: string;
  readonly #exclude: ReadonlySet<string>;
  readonly #recursive: boolean;
  readonly #deps: TreeModelDeps;

  constructor({ path, realPath, recursive, exclude }: FileWatchRequest, deps: TreeModelDeps) {
    this.path = path;
    this.only = realPath === "/" ? undefined : basename(realPath);
    this.#topPath = dirname(realPath);
    this.#exclude = new Set(exclude);
    this.#recursive = recursive;
    this.#deps = deps;
  }

  has(directory: WatchedDirectory): boolean {
    return directory.isBelow(this.top);
  }

  /** `true` for the topmost directory and the watched one. */
  isRoot(directory: WatchedDirectory): boolean {
    return directory === this.top || (this.only !== undefined && directory.parent === this.top);
  }

  /** `true` if a name in a directory belongs to the watch. */
  counts(directory: WatchedDirectory, name: string): boolean {
    if (isTemporaryName(name)) return false;
    if (directory === this.top && this.only !== undefined) return name === this.only;
    return !this.#exclude.has(name);
  }

  /** `true` if the directories in a directory are watched as well. */
  follows(directory: WatchedDirectory): boolean {
    return this.#recursive || (directory === this.top && this.only !== undefined);
  }

  /** Adds an entry. @returns `undefined` if the budget has no room */
  add(directory: WatchedDirectory, name: string, isDirectory: boolean): Known | undefined {
    if (!this.#take(this.#deps.entries)) return undefined;
    const child = isDirectory ? new WatchedDirectory(name, directory) : "other";
    directory.entries.set(name, child);
    return child;
  }

  /** Counts a directory among the watched ones. @returns `false` if the budget has no room */
  count(directory: WatchedDirectory): boolean {
    directory.isCounted ||= this.#take(this.#deps.directories);
    return directory.isCounted;
  }

  /** Removes an entry and all below it. */
  remove(directory: WatchedDirectory, name: string, known: Known): void {
    directory.entries.delete(name);
    this.#deps.entries.give();
    if (known === "other") return;
    this.#forget(known);
    known.parent = undefined;
  }

  /** Moves an entry to a name that is free. */
  move(source: WatchedDirectory, oldName: string, moved: Known, target: WatchedDirectory, name: string) {
    source.entries.delete(oldName);
    target.entries.set(name, moved);
    if (moved === "other") return;
    moved.name = name;
    moved.parent = target;
  }

  /** Forgets everything. */
  clear(): void {
    this.#forget(this.top);
  }

  /** The path of a name below the path that the subscriber gave, with the links in that path. */
  pathOf(directory: WatchedDirectory, name: string): string {
    const names = [...directory.way, name];
    if (this.only !== undefined) names.shift();
    return names.length === 0 ? this.path : `${this.path === "/" ? "" : this.path}/${names.join("/")}`;
  }

  realPathOf(directory: WatchedDirectory): string {
    return [this.#topPath === "/" ? "" : this.#topPath, ...directory.way].join("/") || "/";
  }

  /** Gives back the budget of a directory and all below it, except for the directory's own entry. */
  #forget(top: WatchedDirectory): void {
    for (const directory of top.all()) {
      this.#deps.release(directory);
      this.#deps.entries.give(directory.entries.size);
      if (directory.isCounted) this.#deps.directories.give();
      directory.isCounted = false;
    }
  }

  #take(budget: WatchBudget): boolean {
    const error = budget.take();
    if (error !== undefined) this.#deps.onFull(error);
    return error === undefined;
  }
}
