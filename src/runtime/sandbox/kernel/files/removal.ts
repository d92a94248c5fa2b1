import * as fs from "node:fs";
import { pause } from "../../../../base/pace.ts";
import { temporaryName } from "../../names.ts";
import { asPosixError, codeOf, posixError } from "../../posix.ts";
import type { TreeAccess } from "./access.ts";
import { at, closeElsewhere, DIRECTORY, duplicateDirectory, isLarge, NODE } from "./descriptors.ts";
import { eachEntry } from "./listing.ts";
import type { Mounted } from "./mounted.ts";
import type { Place } from "./place.ts";
import type { Root } from "./root.ts";

/**
 * Attempts to delete a directory that processes keep filling.
 * @unit rounds
 * @past The directory stays.
 * @code ENOTEMPTY
 */
const MAX_ROUNDS = 100;

/** Attempts if processes nest the directory deeper meanwhile. Enough for 300,000 levels. */
const MAX_ROUNDS_WITH_MOVES = 10_000;

/**
 * Directories that are open at a time. Deeper directories are moved up first: a process of the VM can nest directories
 * by the hundred thousand, and all VMs share the server's descriptors.
 */
const MAX_DEPTH = 32;

/** Errors if another process removed or replaced an entry. The next round reads the directory again. */
const CHANGED = ["ENOENT", "ENOTDIR", "EISDIR", "ENOTEMPTY"];

/** A directory under removal: its descriptor, and its path for errors. */
interface Level {
  fd: number;
  path: string;
  depth: number;
}

/** Removes a directory and everything in it by descriptors. Follows no link, even if processes rename entries. */
export class TreeRemoval {
  readonly #root: Root;
  readonly #access: TreeAccess;
  readonly #path: string;
  readonly #parent: number;
  readonly #name: string;
  readonly #top: number;
  readonly #mount: Mounted | undefined;
  #moves = 0;
  /** Error of a directory that could not be listed. It does not matter if the directory is empty. */
  #denied: unknown = null;

  /** Opens descriptors that `run` closes. */
  constructor(access: TreeAccess, place: Place, path: string) {
    const call = { syscall: "rmdir", path };
    const { name } = place.writable(call);
    const { fd, stats, mount } = place.existing(call);
    if (!stats.isDirectory()) throw posixError("ENOTDIR", call);
    place.assertNoMountPoint(call);
    this.#root = access.root;
    this.#access = access;
    this.#path = path.replace(/\/$/, "");
    this.#name = name;
    this.#mount = mount;
    this.#parent = place.keepDirectory(call);
    try {
      this.#top = duplicateDirectory(fd);
    } catch (error) {
      fs.closeSync(this.#parent);
      throw error;
    }
  }

  async run(): Promise<void> {
    try {
      for (let rounds = 0; rounds - Math.min(this.#moves, MAX_ROUNDS_WITH_MOVES) < MAX_ROUNDS; rounds++) {
        this.#denied = null;
        await this.#empty({ fd: this.#top, path: this.#path, depth: 0 });
        if (await this.#removeTop()) return;
        if (this.#denied !== null) throw this.#denied;
      }
      throw posixError("ENOTEMPTY", { syscall: "rmdir", path: this.#path });
    } finally {
      fs.closeSync(this.#top);
      fs.closeSync(this.#parent);
    }
  }

  /** @returns `false` if the directory is not empty again */
  async #removeTop(): Promise<boolean> {
    try {
      await this.#root.calls.rmdir(at(this.#parent, this.#name));
      return true;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return true;
      if (codeOf(error) === "ENOTEMPTY") return false;
      throw asPosixError(error, { syscall: "rmdir", path: this.#path });
    }
  }

  async #empty(level: Level): Promise<void> {
    for (const name of await this.#namesIn(level)) {
      const turn = pause();
      if (turn !== null) await turn;
      this.#access.assertOpen();
      await this.#removeEntry(level, name, `${level.path}/${name}`);
    }
  }

  async #removeEntry(level: Level, name: string, path: string): Promise<void> {
    const stats = await this.#look(level, name, path);
    if (stats === undefined) return;
    const isDirectory = stats.isDirectory();
    if (!this.#root.isIn({ mount: this.#mount }, stats))
      throw posixError("EBUSY", { syscall: isDirectory ? "rmdir" : "unlink", path });
    this.#assertChangeable(level, stats, path);
    if (!isDirectory) await this.#removeFile(at(level.fd, name), stats, path);
    else if (level.depth >= MAX_DEPTH) await this.#moveUp(level, name, path);
    else await this.#emptyAndRemove(level, name, path);
  }

  async #namesIn({ fd, path }: Level): Promise<string[]> {
    const names: string[] = [];
    try {
      await eachEntry(this.#root.calls, fd, (name) => {
        names.push(name);
      });
    } catch (error) {
      this.#denied = asPosixError(error, { syscall: "scandir", path });
      if (codeOf(error) !== "EACCES") throw this.#denied;
    }
    return names;
  }

  async #look({ fd }: Level, name: string, path: string): Promise<fs.Stats | undefined> {
    try {
      return await this.#root.calls.find(at(fd, name));
    } catch (error) {
      throw asPosixError(error, { syscall: "lstat", path });
    }
  }

  async #removeFile(name: string | Buffer, stats: fs.Stats, path: string): Promise<void> {
    const { calls } = this.#root;
    let held: number | undefined;
    if (isLarge(stats)) {
      held = await this.#attempt("open", path, () => calls.open(name, NODE));
      if (held === undefined) return;
    }
    try {
      await this.#attempt("unlink", path, () => calls.unlink(name));
    } finally {
      if (held !== undefined) await closeElsewhere(held);
    }
  }

  async #emptyAndRemove(parent: Level, name: string, path: string): Promise<void> {
    const { calls } = this.#root;
    const fd = await this.#attempt("open", path, () => calls.open(at(parent.fd, name), DIRECTORY));
    if (fd === undefined) return;
    try {
      if (!this.#root.isIn({ mount: this.#mount }, fs.fstatSync(fd)))
        throw posixError("EBUSY", { syscall: "rmdir", path });
      await this.#empty({ fd, path, depth: parent.depth + 1 });
    } finally {
      fs.closeSync(fd);
    }
    await this.#attempt("rmdir", path, () => calls.rmdir(at(parent.fd, name)));
  }

  /** In the VM's own files, the server may remove everything. */
  #assertChangeable({ fd }: Level, entry: fs.Stats, path: string): void {
    const mount = this.#mount;
    if (mount === undefined) return;
    this.#root.assertChangeable({ fd, stats: fs.fstatSync(fd), mount }, entry, { syscall: "unlink", path });
  }

  async #moveUp(parent: Level, name: string, path: string): Promise<void> {
    const [from, to] = [at(parent.fd, name), at(this.#top, temporaryName())];
    await this.#attempt("rename", path, async () => {
      await this.#root.calls.rename(from, to);
      this.#moves++;
    });
  }

  /** Makes a change. @returns its result, or `undefined` if another process has changed the entry */
  async #attempt<Result>(
    syscall: string,
    path: string,
    change: () => Result,
  ): Promise<Awaited<Result> | undefined> {
    try {
      return await change();
    } catch (error) {
      if (CHANGED.includes(codeOf(error) ?? "")) return undefined;
      throw asPosixError(error, { syscall, path });
    }
  }
}
