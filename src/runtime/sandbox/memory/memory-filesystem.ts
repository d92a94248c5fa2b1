import { vmStopped } from "../../../api/errors.ts";
import { MAX_READ_FILE_BYTES } from "../../../api/limits.ts";
import type { VirtualStat } from "../../../api/types.ts";
import type { FileEntry, FileEntryWithSize, FileReader, FileSystem, FileWriter } from "../files.ts";
import { pause } from "../pace.ts";
import type { PersistentTree } from "../persistent-tree.ts";
import { type Call, fileTooLarge, posixError } from "../posix.ts";
import { isTemporaryName } from "../temporary.ts";
import * as changes from "./changes.ts";
import { MemoryDraft, MemoryReader } from "./draft.ts";
import { plantInitialTree } from "./initial-tree.ts";
import { describeLink, sizeOf, typeOf } from "./metadata.ts";
import { MemoryPersistentTree } from "./persistent-tree.ts";
import type { Place } from "./place.ts";
import { type MemoryLimits, Quota } from "./quota.ts";
import { childrenOf, type Link, Tree } from "./tree.ts";
import { walk } from "./walk.ts";

/**
 * A VM's file tree in the server's memory. It answers as the kernel's does, error for error.
 *
 * @example
 * const files = new MemoryFileSystem({ filesystemBytes: 64 * 1024 * 1024, inodes: 10_000 });
 * await files.writeFile("/workspace/hello", Buffer.from("hello"));
 */
export class MemoryFileSystem implements FileSystem {
  readonly tree: PersistentTree = new MemoryPersistentTree(this);
  readonly #quota: Quota;
  readonly #tree: Tree;
  #closed = false;

  constructor(limits: MemoryLimits) {
    this.#quota = new Quota(limits);
    this.#tree = new Tree(this.#quota);
    plantInitialTree(this.#tree);
  }

  async readFile(path: string, maxBytes = MAX_READ_FILE_BYTES): Promise<Uint8Array> {
    const reader = await this.openReader(path);
    if (reader.size > maxBytes) throw fileTooLarge({ syscall: "read", path }, reader.size, maxBytes);
    return reader.read(0, reader.size);
  }

  openReader(path: string): Promise<FileReader> {
    const call: Call = { syscall: "open", path };
    return this.#at(call, path, true, (place) => {
      const link = place.existing(call);
      const read: Call = { syscall: "read", path };
      if (link.node.isDirectory()) throw posixError("EISDIR", read);
      return new MemoryReader(this.#tree.contentOf(link), read);
    });
  }

  async writeFile(path: string, data: Uint8Array): Promise<void> {
    const writer = await this.openWriter(path);
    try {
      await writer.write(0, data);
      if (this.#closed) throw vmStopped();
      await writer.commit();
    } finally {
      await writer.close();
    }
  }

  openWriter(path: string): Promise<FileWriter> {
    const call: Call = { syscall: "open", path };
    return this.#at(call, path, true, (place) => new MemoryDraft(this.#tree, this.#quota, place, call));
  }

  stat(path: string): Promise<VirtualStat> {
    const call: Call = { syscall: "stat", path };
    return this.#at(call, path, true, (place) => describeLink(this.#tree, place.existing(call)));
  }

  lstat(path: string): Promise<VirtualStat> {
    const call: Call = { syscall: "lstat", path };
    return this.#at(call, path, path.endsWith("/"), (place) =>
      describeLink(this.#tree, place.existing(call)),
    );
  }

  readdir(path: string): Promise<FileEntry[]> {
    return this.#list(path, (name, link) => ({ name, type: typeOf(link) }));
  }

  readdirWithSizes(path: string): Promise<FileEntryWithSize[]> {
    return this.#list(path, (name, link) => ({ name, type: typeOf(link), size: sizeOf(this.#tree, link) }));
  }

  mkdir(path: string): Promise<void> {
    const call: Call = { syscall: "mkdir", path };
    return this.#at(call, path, false, (place) => changes.makeDirectory(this.#tree, place, call));
  }

  rmdir(path: string): Promise<void> {
    const call: Call = { syscall: "rmdir", path };
    return this.#at(call, path, false, (place) => changes.removeDirectory(this.#tree, place, call));
  }

  async removeTree(path: string): Promise<void> {
    const call: Call = { syscall: "rmdir", path };
    const directory = await this.#at(call, path, false, (place) => changes.directoryToRemove(place, call));
    const { parent } = directory;
    do await this.#empty(directory);
    while (!changes.removeIfEmpty(this.#tree, parent, directory));
  }

  unlink(path: string): Promise<void> {
    const call: Call = { syscall: "unlink", path };
    return this.#at(call, path, false, (place) => changes.removeFile(this.#tree, place, call));
  }

  rename(from: string, to: string): Promise<void> {
    const call: Call = { syscall: "rename", path: from, destination: to };
    return this.#at(call, from, false, (source) =>
      changes.rename(this.#tree, source, walk(this.#tree, call, to, false), call),
    );
  }

  readlink(path: string): Promise<string> {
    const call: Call = { syscall: "readlink", path };
    return this.#at(call, path, path.endsWith("/"), (place) => {
      const { node } = place.existing(call);
      if (!node.isSymlink()) throw posixError("EINVAL", call);
      return node.symlink;
    });
  }

  symlink(target: string, path: string): Promise<void> {
    const call: Call = { syscall: "symlink", path: target, destination: path };
    return this.#at(call, path, false, (place) => changes.makeSymlink(this.#tree, place, call, target));
  }

  chmod(path: string, mode: number): Promise<void> {
    const call: Call = { syscall: "chmod", path };
    return this.#at(call, path, true, (place) =>
      changes.changeMode(this.#tree, place.existing(call), call, mode),
    );
  }

  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void> {
    const call: Call = { syscall: "utime", path };
    return this.#at(call, path, true, (place) =>
      changes.changeTimes(this.#tree, place.existing(call), call, atimeMs, mtimeMs),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tree.clear();
  }

  async #list<T>(path: string, describe: (name: string, link: Link) => T): Promise<T[]> {
    const call: Call = { syscall: "scandir", path };
    const directory = await this.#at(call, path, true, (place) => place.existing(call));
    if (!directory.node.isDirectory()) throw posixError("ENOTDIR", call);
    const entries: T[] = [];
    let count = 0;
    for (const [name, link] of childrenOf(directory)) {
      if (!isTemporaryName(name)) entries.push(describe(name, link));
      if (++count % 256 === 0) await pause();
    }
    return entries;
  }

  async #empty(directory: Link): Promise<void> {
    for (const [, link] of [...childrenOf(directory)]) {
      const turn = pause();
      if (turn !== null) await turn;
      if (this.#closed) throw vmStopped();
      if (link.parent !== directory) continue;
      if (link.node.isDirectory()) await this.#empty(link);
      changes.removeIfEmpty(this.#tree, directory, link);
    }
  }

  async #at<T>(call: Call, path: string, follow: boolean, work: (place: Place) => T): Promise<T> {
    const turn = pause();
    if (turn !== null) await turn;
    if (this.#closed) throw vmStopped();
    return work(walk(this.#tree, call, path, follow));
  }
}
