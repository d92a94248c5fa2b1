import { vmStopped } from "../../../api/errors.ts";
import { MAX_READ_FILE_BYTES } from "../../../api/limits.ts";
import type { VirtualStat } from "../../../api/methods/files.ts";
import { pause, visitAll } from "../../../base/pace.ts";
import { joinNames } from "../existing-names.ts";
import type { FileEntry, FileEntryWithSize, FileReader, FileSystem, FileWriter } from "../files.ts";
import { LargeReads } from "../large-reads.ts";
import { isTemporaryName } from "../names.ts";
import type { PersistentTree } from "../persistent-tree.ts";
import { type Call, fileTooLarge, posixError, type VisitOptions } from "../posix.ts";
import * as changes from "./changes.ts";
import { MemoryDraft, MemoryReader } from "./draft.ts";
import { makeInitialTree } from "./initial-tree.ts";
import { describeLink, sizeOf, typeOf } from "./metadata.ts";
import { MemoryPersistentTree } from "./persistent-tree.ts";
import type { Place } from "./place.ts";
import { type MemoryLimits, Quota } from "./quota.ts";
import { childrenOf, type Link, Tree } from "./tree.ts";
import { walk } from "./walk.ts";

/**
 * A VM's file tree in the server's memory, with the results and errors of the kernel's file system.
 *
 * @example
 * const files = new MemoryFileSystem({ filesystemBytes: 64 * 1024 * 1024, inodes: 10_000 });
 * await files.writeFile("/workspace/hello", Buffer.from("hello"));
 */
export class MemoryFileSystem implements FileSystem {
  readonly tree: PersistentTree = new MemoryPersistentTree(this);
  readonly #quota: Quota;
  readonly #tree: Tree;
  readonly #reads = new LargeReads();
  #closed = false;

  constructor(limits: MemoryLimits) {
    this.#quota = new Quota(limits);
    this.#tree = new Tree(this.#quota);
    makeInitialTree(this.#tree);
  }

  async mountOf(): Promise<undefined> {
    return undefined;
  }

  /** Counts what the tree uses. */
  used(): { filesystemBytes: number; inodes: number } {
    return this.#quota.used();
  }

  async readFile(path: string, maxBytes = MAX_READ_FILE_BYTES): Promise<Uint8Array> {
    const reader = await this.openReader(path);
    if (reader.size > maxBytes) throw fileTooLarge({ syscall: "read", path }, reader.size, maxBytes);
    return this.#reads.run(reader.size, () => reader.read(0, reader.size));
  }

  openReader(path: string): Promise<FileReader> {
    return this.#at("open", path, { follow: true }, (place, call) => {
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
    return this.#at(
      "open",
      path,
      { follow: true },
      (place, call) => new MemoryDraft(this.#tree, this.#quota, place, call),
    );
  }

  stat(path: string): Promise<VirtualStat> {
    return this.#at("stat", path, { follow: true }, (place, call) =>
      describeLink(this.#tree, place.existing(call)),
    );
  }

  lstat(path: string): Promise<VirtualStat> {
    return this.#at("lstat", path, { follow: path.endsWith("/") }, (place, call) =>
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
    return this.#at("mkdir", path, { follow: false }, (place, call) =>
      changes.makeDirectory(this.#tree, place, call),
    );
  }

  async mkdirBelow(path: string, names: readonly string[]): Promise<void> {
    const call: Call = { syscall: "mkdir", path: joinNames(path, names) };
    let directory = await this.#at("mkdir", path, { follow: true }, (place, call) => {
      const link = place.existing(call);
      if (!link.node.isDirectory()) throw posixError("ENOTDIR", call);
      return link;
    });
    await visitAll(names, (name) => {
      if (this.#closed) throw vmStopped();
      directory = changes.makeDirectoryIn(this.#tree, directory, name, call);
    });
  }

  rmdir(path: string): Promise<void> {
    return this.#at("rmdir", path, { follow: false }, (place, call) =>
      changes.removeDirectory(this.#tree, place, call),
    );
  }

  async removeTree(path: string): Promise<void> {
    const directory = await this.#at("rmdir", path, { follow: false }, changes.directoryToRemove);
    const { parent } = directory;
    do await this.#empty(directory);
    while (!changes.removeIfEmpty(this.#tree, parent, directory));
  }

  unlink(path: string): Promise<void> {
    return this.#at("unlink", path, { follow: false }, (place, call) =>
      changes.removeFile(this.#tree, place, call),
    );
  }

  rename(from: string, to: string): Promise<void> {
    const rename = (source: Place, call: Call) =>
      changes.rename(this.#tree, source, walk(this.#tree, call, to, { follow: false }), call);
    return this.#at("rename", from, { follow: false, named: { path: from, destination: to } }, rename);
  }

  readlink(path: string): Promise<string> {
    return this.#at("readlink", path, { follow: path.endsWith("/") }, (place, call) => {
      const { node } = place.existing(call);
      if (!node.isSymlink()) throw posixError("EINVAL", call);
      return node.symlink;
    });
  }

  symlink(target: string, path: string): Promise<void> {
    const make = (place: Place, call: Call) => changes.makeSymlink(this.#tree, place, call, target);
    return this.#at("symlink", path, { follow: false, named: { path: target, destination: path } }, make);
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#at("chmod", path, { follow: true }, (place, call) =>
      changes.changeMode(this.#tree, place.existing(call), call, mode),
    );
  }

  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void> {
    return this.#at("utime", path, { follow: true }, (place, call) =>
      changes.changeTimes(this.#tree, place.existing(call), call, atimeMs, mtimeMs),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.tree.budget.close();
    this.#tree.clear();
  }

  async #list<T>(path: string, describe: (name: string, link: Link) => T): Promise<T[]> {
    const directory = await this.#at("scandir", path, { follow: true }, (place, call) => {
      const link = place.existing(call);
      if (!link.node.isDirectory()) throw posixError("ENOTDIR", call);
      return link;
    });
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

  /** Walks to a path and works there in one turn of the event loop. */
  async #at<T>(
    syscall: string,
    path: string,
    { follow, named = { path } }: VisitOptions,
    work: (place: Place, call: Call) => T,
  ): Promise<T> {
    const call: Call = { syscall, ...named };
    const turn = pause();
    if (turn !== null) await turn;
    if (this.#closed) throw vmStopped();
    return work(walk(this.#tree, call, path, { follow }), call);
  }
}
