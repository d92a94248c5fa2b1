import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from "node:fs";
import { pause } from "../../pace.ts";
import { asPosixError, codeOf, posixError } from "../../posix.ts";
import { temporaryName } from "../../temporary.ts";
import { at, DIRECTORY, duplicateDirectory } from "./descriptors.ts";
import { eachEntry } from "./listing.ts";
import type { Place } from "./place.ts";
import type { Root } from "./root.ts";

/** Rounds after which a directory that processes keep filling is left to them. */
const MAX_ROUNDS = 100;

/** The same for one that they keep nesting deeper; enough for 300,000 levels. */
const MAX_ROUNDS_WITH_MOVES = 10_000;

/**
 * Directories that are open at a time. What lies deeper is moved up first: a process of the VM can nest directories
 * by the hundred thousand, and the server's descriptors are all VMs'.
 */
const MAX_DEPTH = 32;

/** What another process removed or replaced meanwhile; the next round sees what is there. */
const CHANGED = ["ENOENT", "ENOTDIR", "EISDIR", "ENOTEMPTY"];

/** A directory under removal: a descriptor, and its path for errors. */
interface Level {
  fd: number;
  path: string;
  depth: number;
}

/** Removes one directory and all in it by descriptors: whatever is renamed meanwhile, no link is ever followed. */
export class TreeRemoval {
  readonly #root: Root;
  readonly #path: string;
  readonly #parent: number;
  readonly #name: string;
  readonly #top: number;
  readonly #assertRunning: () => void;
  #moves = 0;
  /** Why a directory could not be listed; of no matter if it is empty. */
  #denied: unknown = null;

  /** Takes descriptors of its own; `run` closes them. */
  constructor(root: Root, place: Place, path: string, assertRunning: () => void) {
    const call = { syscall: "rmdir", path };
    const { name } = place.writable(call);
    const { fd, stats } = place.existing(call);
    if (!stats.isDirectory()) throw posixError("ENOTDIR", call);
    place.assertNoMountPoint(call);
    this.#root = root;
    this.#assertRunning = assertRunning;
    this.#path = path.replace(/\/$/, "");
    this.#name = name;
    this.#parent = place.keepDirectory(call);
    try {
      this.#top = duplicateDirectory(fd);
    } catch (error) {
      closeSync(this.#parent);
      throw error;
    }
  }

  async run(): Promise<void> {
    try {
      for (let rounds = 0; rounds - Math.min(this.#moves, MAX_ROUNDS_WITH_MOVES) < MAX_ROUNDS; rounds++) {
        this.#denied = null;
        await this.#empty({ fd: this.#top, path: this.#path, depth: 0 });
        if (this.#removeTop()) return;
        if (this.#denied !== null) throw this.#denied;
      }
      throw posixError("ENOTEMPTY", { syscall: "rmdir", path: this.#path });
    } finally {
      closeSync(this.#top);
      closeSync(this.#parent);
    }
  }

  /** `false` when something is in it again. */
  #removeTop(): boolean {
    try {
      rmdirSync(at(this.#parent, this.#name));
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
      this.#assertRunning();
      await this.#removeEntry(level, name, `${level.path}/${name}`);
    }
  }

  async #removeEntry(level: Level, name: string, path: string): Promise<void> {
    const stats = this.#look(level, name, path);
    if (stats === undefined) return;
    const isDirectory = stats.isDirectory();
    if (this.#root.isForeign(stats))
      throw posixError("EBUSY", { syscall: isDirectory ? "rmdir" : "unlink", path });
    if (!isDirectory) this.#attempt("unlink", path, () => unlinkSync(at(level.fd, name)));
    else if (level.depth >= MAX_DEPTH) this.#moveUp(level, name, path);
    else await this.#emptyAndRemove(level, name, path);
  }

  async #namesIn({ fd, path }: Level): Promise<string[]> {
    const names: string[] = [];
    try {
      await eachEntry(fd, (name) => names.push(name));
    } catch (error) {
      this.#denied = asPosixError(error, { syscall: "scandir", path });
      if (codeOf(error) !== "EACCES") throw this.#denied;
    }
    return names;
  }

  #look({ fd }: Level, name: string, path: string): Stats | undefined {
    try {
      return lstatSync(at(fd, name), { throwIfNoEntry: false });
    } catch (error) {
      throw asPosixError(error, { syscall: "lstat", path });
    }
  }

  async #emptyAndRemove(parent: Level, name: string, path: string): Promise<void> {
    let fd = -1;
    if (!this.#attempt("open", path, () => (fd = openSync(at(parent.fd, name), DIRECTORY)))) return;
    try {
      if (this.#root.isForeign(fstatSync(fd))) throw posixError("EBUSY", { syscall: "rmdir", path });
      await this.#empty({ fd, path, depth: parent.depth + 1 });
    } finally {
      closeSync(fd);
    }
    this.#attempt("rmdir", path, () => rmdirSync(at(parent.fd, name)));
  }

  #moveUp(parent: Level, name: string, path: string): void {
    const source = at(parent.fd, name);
    if (this.#attempt("rename", path, () => renameSync(source, at(this.#top, temporaryName()))))
      this.#moves++;
  }

  /** `false` where somebody else has changed what is there. */
  #attempt(syscall: string, path: string, change: () => unknown): boolean {
    try {
      change();
      return true;
    } catch (error) {
      if (CHANGED.includes(codeOf(error) ?? "")) return false;
      throw asPosixError(error, { syscall, path });
    }
  }
}
