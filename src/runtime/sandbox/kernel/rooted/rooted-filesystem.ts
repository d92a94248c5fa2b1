import { closeSync, readlinkSync } from "node:fs";
import { vmStopped } from "../../../../api/errors.ts";
import { MAX_READ_FILE_BYTES } from "../../../../api/limits.ts";
import type { VirtualStat } from "../../../../api/types.ts";
import type { FileEntry, FileEntryWithSize, FileReader, FileSystem, FileWriter } from "../../files.ts";
import { pause } from "../../pace.ts";
import type { PersistentTree } from "../../persistent-tree.ts";
import { asPosixError, type Call, posixError } from "../../posix.ts";
import { Attributes } from "./attributes.ts";
import * as changes from "./changes.ts";
import { duplicateDirectory } from "./descriptors.ts";
import { Draft } from "./draft.ts";
import { type Identity, identityOf, type Owner, toVirtualStat } from "./identity.ts";
import { listEntries, listEntriesWithSizes } from "./listing.ts";
import { decodeName } from "./names.ts";
import { assertOpenable } from "./open.ts";
import type { Entry, Place } from "./place.ts";
import {
  BytesReader,
  MAX_UNSIZED_BYTES,
  openSource,
  RootedReader,
  readAndClose,
  readNow,
  SYNC_BYTES,
} from "./reader.ts";
import { TreeRemoval } from "./removal.ts";
import { replaceNow } from "./replacement.ts";
import { Root } from "./root.ts";
import { RootedTree } from "./rooted-tree.ts";
import { walk } from "./walk.ts";

export interface RootedFileSystemOptions {
  /** O_PATH descriptor of the VM's root directory; `close()` closes it. */
  rootFd: number;
  /** Who gets what a root server makes; `null` where the server is an ordinary user. */
  owner: Owner | null;
  /** @default the VM's user is 1000, everyone else 65534 */
  identity?: Identity;
  /** Reads what the kernel makes up for its reader, as the VM's user. @default the server reads it, as itself */
  readInside?: ReadInside;
  /** perl, for extended attributes. @default none: there are none */
  perl?: string | undefined;
}

type ReadInside = (path: string, call: Call, maxBytes: number) => Promise<Uint8Array>;

/**
 * The tree below a directory of the host, reached by descriptors only, so that no symlink and no process of the VM
 * can lead an access out of it.
 *
 * @example
 * const rootFd = openSync(`/proc/${initPid}/root`, O_PATH | constants.O_DIRECTORY);
 * const files = new RootedFileSystem({ rootFd, owner: null });
 * await files.writeFile("/tmp/hello", Buffer.from("hello"));
 */
export class RootedFileSystem implements FileSystem {
  readonly tree: PersistentTree;
  readonly #root: Root;
  readonly #identity: Identity;
  readonly #readInside: ReadInside | undefined;
  readonly #handles = new Set<{ close(): Promise<void> }>();
  #closing: Promise<void> | null = null;

  constructor({ rootFd, owner, identity, readInside, perl }: RootedFileSystemOptions) {
    this.#readInside = readInside;
    this.#root = new Root(rootFd, owner);
    this.#identity = identity ?? identityOf(owner);
    const attributes = Attributes.by(perl, () => {
      this.#assertOpen();
      return rootFd;
    });
    if (attributes !== undefined) this.#handles.add(attributes);
    this.tree = new RootedTree(
      this.#root,
      (call, path, work) => this.#at(call, path, false, work),
      attributes,
    );
  }

  async readFile(path: string, maxBytes = MAX_READ_FILE_BYTES): Promise<Uint8Array> {
    const call: Call = { syscall: "open", path };
    const opened = await this.#at(call, path, true, (place) => {
      const entry = place.existing(call);
      const madeUp = this.#readMadeUp(entry, call, maxBytes);
      if (madeUp !== undefined) return madeUp;
      const { size } = entry.stats;
      const isSmall = size <= Math.min(SYNC_BYTES, maxBytes) && !this.#root.isForeign(entry.stats);
      return isSmall ? readNow(this.#root, entry, call) : openSource(this.#root, entry, call);
    });
    return opened instanceof Uint8Array ? opened : readAndClose(opened, maxBytes);
  }

  openReader(path: string): Promise<FileReader> {
    const call: Call = { syscall: "open", path };
    return this.#at<FileReader | Promise<FileReader>>(call, path, true, (place) => {
      const entry = place.existing(call);
      const madeUp = this.#readMadeUp(entry, call, MAX_UNSIZED_BYTES);
      if (madeUp !== undefined) return madeUp.then((bytes) => new BytesReader(bytes));
      const { source, size } = openSource(this.#root, entry, call);
      if (size === 0 && source.foreign)
        return readAndClose({ source, size }, MAX_READ_FILE_BYTES).then((bytes) => new BytesReader(bytes));
      const reader = new RootedReader(source, size, () => this.#handles.delete(reader));
      this.#handles.add(reader);
      return reader;
    });
  }

  async writeFile(path: string, data: Uint8Array): Promise<void> {
    if (data.length > SYNC_BYTES) return this.#writeInPieces(path, data);
    const call: Call = { syscall: "open", path };
    return this.#at(call, path, true, (place) => replaceNow(this.#root, place, call, data));
  }

  openWriter(path: string): Promise<FileWriter> {
    const call: Call = { syscall: "open", path };
    return this.#at(call, path, true, (place) => {
      const draft = new Draft(this.#root, place, call, () => this.#handles.delete(draft));
      this.#handles.add(draft);
      return draft;
    });
  }

  stat(path: string): Promise<VirtualStat> {
    const call: Call = { syscall: "stat", path };
    return this.#at(call, path, true, (place) => this.#describe(place.existing(call)));
  }

  lstat(path: string): Promise<VirtualStat> {
    const call: Call = { syscall: "lstat", path };
    return this.#at(call, path, path.endsWith("/"), (place) => this.#describe(place.existing(call)));
  }

  readdir(path: string): Promise<FileEntry[]> {
    return this.#list(path, listEntries);
  }

  readdirWithSizes(path: string): Promise<FileEntryWithSize[]> {
    return this.#list(path, listEntriesWithSizes);
  }

  mkdir(path: string): Promise<void> {
    const call: Call = { syscall: "mkdir", path };
    return this.#at(call, path, false, (place) => changes.makeDirectory(this.#root, place, call));
  }

  rmdir(path: string): Promise<void> {
    const call: Call = { syscall: "rmdir", path };
    return this.#at(call, path, false, (place) => changes.removeDirectory(place, call));
  }

  async removeTree(path: string): Promise<void> {
    const call: Call = { syscall: "rmdir", path };
    const assertOpen = () => this.#assertOpen();
    const removal = await this.#at(
      call,
      path,
      false,
      (place) => new TreeRemoval(this.#root, place, path, assertOpen),
    );
    await removal.run();
  }

  unlink(path: string): Promise<void> {
    const call: Call = { syscall: "unlink", path };
    return this.#at(call, path, false, (place) => changes.removeFile(place, call));
  }

  rename(from: string, to: string): Promise<void> {
    const call: Call = { syscall: "rename", path: from, destination: to };
    return this.#at(call, from, false, (source) => {
      const target = walk(this.#root, call, to, false);
      try {
        changes.rename(source, target, call);
      } finally {
        target.close();
      }
    });
  }

  readlink(path: string): Promise<string> {
    const call: Call = { syscall: "readlink", path };
    return this.#at(call, path, path.endsWith("/"), (place) => {
      if (!place.existing(call).stats.isSymbolicLink()) throw posixError("EINVAL", call);
      return decodeName(readlinkSync(place.namePath(call), "latin1"));
    });
  }

  symlink(target: string, path: string): Promise<void> {
    const call: Call = { syscall: "symlink", path: target, destination: path };
    return this.#at(call, path, false, (place) => changes.makeSymlink(this.#root, place, call, target));
  }

  chmod(path: string, mode: number): Promise<void> {
    const call: Call = { syscall: "chmod", path };
    return this.#at(call, path, true, (place) =>
      changes.changeMode(this.#root, place.existing(call), call, mode),
    );
  }

  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void> {
    const call: Call = { syscall: "utime", path };
    return this.#at(call, path, true, (place) =>
      changes.changeTimes(this.#root, place.existing(call), call, atimeMs, mtimeMs),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  async #closeOnce(): Promise<void> {
    await Promise.all([...this.#handles].map((handle) => handle.close()));
    closeSync(this.#root.fd);
  }

  /**
   * Walks to a path and does something there, all before anything else can run: so the root's descriptor is in use
   * only now, and a thousand calls at once hold no more descriptors than one.
   */
  async #at<T>(call: Call, path: string, follow: boolean, work: (place: Place) => T): Promise<Awaited<T>> {
    const turn = pause();
    if (turn !== null) await turn;
    this.#assertOpen();
    try {
      const place = walk(this.#root, call, path, follow);
      let result: T;
      try {
        result = work(place);
      } finally {
        place.close();
      }
      return await result;
    } catch (error) {
      throw asPosixError(error, call);
    }
  }

  #readMadeUp(entry: Entry, call: Call, maxBytes: number): Promise<Uint8Array> | undefined {
    if (this.#readInside === undefined || !this.#root.isProcfs(entry)) return undefined;
    assertOpenable(this.#root, entry, call);
    return this.#readInside(call.path, call, Math.min(maxBytes, MAX_UNSIZED_BYTES));
  }

  async #writeInPieces(path: string, data: Uint8Array): Promise<void> {
    const writer = await this.openWriter(path);
    try {
      await writer.write(0, data);
      await writer.commit();
    } catch (error) {
      throw this.#closing === null ? error : vmStopped();
    } finally {
      await writer.close();
    }
  }

  /** Lists a directory that the VM's user may list, by a descriptor that is the listing's own. */
  async #list<T>(path: string, list: (fd: number) => Promise<T>): Promise<T> {
    const call: Call = { syscall: "scandir", path };
    const fd = await this.#at(call, path, true, (place) => {
      const { fd, stats } = place.existing(call);
      if (!stats.isDirectory()) throw posixError("ENOTDIR", call);
      this.#root.assertReadable(stats, call);
      return duplicateDirectory(fd);
    });
    try {
      return await list(fd);
    } catch (error) {
      throw asPosixError(error, call);
    } finally {
      closeSync(fd);
    }
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw vmStopped();
  }

  #describe(entry: Entry): VirtualStat {
    return toVirtualStat(entry.stats, this.#identity);
  }
}
