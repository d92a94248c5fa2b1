import { closeSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path/posix";
import { vmStopped } from "../../../../api/errors.ts";
import { MAX_READ_FILE_BYTES } from "../../../../api/limits.ts";
import type { VirtualStat } from "../../../../api/methods/files.ts";
import { pause } from "../../../../base/pace.ts";
import { joinNames, splitExisting } from "../../existing-names.ts";
import type { FileEntry, FileEntryWithSize, FileReader, FileSystem, FileWriter } from "../../files.ts";
import { LargeReads } from "../../large-reads.ts";
import type { VmMount } from "../../mount-table.ts";
import type { Owner } from "../../own-uids.ts";
import type { PersistentTree } from "../../persistent-tree.ts";
import { asPosixError, type Call, codeOf, posixError } from "../../posix.ts";
import { TreeAccess } from "./access.ts";
import { Attributes } from "./attributes.ts";
import { FileCalls } from "./calls.ts";
import * as changes from "./changes.ts";
import { descriptorPath, duplicateDirectory } from "./descriptors.ts";
import { Draft } from "./draft.ts";
import { Holes } from "./holes.ts";
import { toVirtualStat } from "./id-mapping.ts";
import { listEntries, listEntriesWithSizes } from "./listing.ts";
import type { Mounted } from "./mounted.ts";
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
import { Replacement, replaceSmall } from "./replacement.ts";
import { type Directory, Root } from "./root.ts";
import { RootedTree } from "./rooted-tree.ts";
import { walk } from "./walk.ts";

interface RootedFileSystemOptions {
  /** O_PATH descriptor of the VM's root directory; `close()` closes it. */
  rootFd: number;
  /** Owner of the files that a root server makes. `null`: the server is an ordinary user. */
  owner: Owner | null;
  /** Reads a file of procfs as the VM's user. @default the server reads it as its own user */
  readInside?: ReadInside;
  /** Path of perl, for extended attributes and holes. */
  perl: string;
  /** System calls that may wait for programs of the VM. @default all in the pool */
  calls?: FileCalls | undefined;
}

type ReadInside = (path: string, call: Call, maxBytes: number) => Promise<Uint8Array>;

/**
 * The tree below a directory of the host. All access is by descriptors, so that no symlink and no process of the VM can
 * lead an access out of the tree.
 *
 * @example
 * const rootFd = openSync(`/proc/${initPid}/root`, O_PATH | constants.O_DIRECTORY);
 * const files = new RootedFileSystem({ rootFd, owner: null, perl: "/usr/bin/perl" });
 * await files.writeFile("/tmp/hello", Buffer.from("hello"));
 */
export class RootedFileSystem implements FileSystem {
  readonly tree: PersistentTree;
  readonly #root: Root;
  readonly #access: TreeAccess;
  readonly #readInside: ReadInside | undefined;
  readonly #reads = new LargeReads();
  /** Reads of mounted files, by their device: a disk that is slow or gone keeps no others waiting. */
  readonly #foreignReads = new Map<number, LargeReads>();

  constructor({ rootFd, owner, readInside, perl, calls = new FileCalls() }: RootedFileSystemOptions) {
    this.#readInside = readInside;
    this.#root = new Root(rootFd, owner, calls);
    this.#access = new TreeAccess(this.#root);
    const attributes = this.#access.keep(() => new Attributes(perl, rootFd));
    const holes = this.#access.keep(() => new Holes(perl));
    this.tree = new RootedTree(this.#access, attributes, holes);
  }

  async readFile(path: string, maxBytes = MAX_READ_FILE_BYTES): Promise<Uint8Array> {
    let device = 0;
    const opened = await this.#access.at("open", path, { follow: true }, (place, call) => {
      const entry = place.existing(call);
      const inside = this.#readGenerated(entry, call, maxBytes);
      if (inside !== undefined) return { inside };
      const { size, dev } = entry.stats;
      device = dev;
      const isSmall = size <= Math.min(SYNC_BYTES, maxBytes) && !this.#root.isForeign(entry.stats);
      return isSmall ? readNow(this.#root, entry, call) : openSource(this.#root, entry, call);
    });
    if (opened instanceof Uint8Array) return opened;
    if ("inside" in opened) return await opened.inside();
    const read = () => readAndClose(opened, maxBytes);
    if (opened.size > maxBytes) return read();
    return (opened.source.foreign ? this.#foreignReadsOf(device) : this.#reads).run(opened.size, read);
  }

  #foreignReadsOf(device: number): LargeReads {
    const reads = this.#foreignReads.get(device) ?? new LargeReads();
    this.#foreignReads.set(device, reads);
    return reads;
  }

  async openReader(path: string): Promise<FileReader> {
    const opened = await this.#access.at("open", path, { follow: true }, (place, call) => {
      const entry = place.existing(call);
      const inside = this.#readGenerated(entry, call, MAX_UNSIZED_BYTES);
      if (inside !== undefined) return inside;
      const { source, size } = openSource(this.#root, entry, call);
      if (size === 0 && source.foreign) return () => readAndClose({ source, size }, MAX_READ_FILE_BYTES);
      return this.#access.keep((onClose) => new RootedReader(source, size, onClose));
    });
    return typeof opened === "function" ? new BytesReader(await opened()) : opened;
  }

  async writeFile(path: string, data: Uint8Array): Promise<void> {
    if (data.length > SYNC_BYTES) return this.#writeInPieces(path, data);
    return this.#access.at("open", path, { follow: true }, (place, call) =>
      replaceSmall(this.#root, place, call, data),
    );
  }

  openWriter(path: string): Promise<FileWriter> {
    return this.#access.at("open", path, { follow: true }, async (place, call) => {
      const replacement = await Replacement.make(this.#root, place, call);
      return this.#access.keep((onClose) => new Draft(replacement, call, onClose));
    });
  }

  stat(path: string): Promise<VirtualStat> {
    return this.#access.at("stat", path, { follow: true }, (place, call) =>
      this.#describe(place.existing(call)),
    );
  }

  lstat(path: string): Promise<VirtualStat> {
    return this.#access.at("lstat", path, { follow: path.endsWith("/") }, (place, call) =>
      this.#describe(place.existing(call)),
    );
  }

  readdir(path: string): Promise<FileEntry[]> {
    return this.#access.list(
      path,
      { follow: true },
      (stats, call) => this.#root.assertReadable(stats, call),
      (fd) => listEntries(this.#root.calls, fd),
    );
  }

  readdirWithSizes(path: string): Promise<FileEntryWithSize[]> {
    return this.#access.list(
      path,
      { follow: true },
      (stats, call) => this.#root.assertReadable(stats, call),
      (fd) => listEntriesWithSizes(this.#root.calls, fd),
    );
  }

  mkdir(path: string): Promise<void> {
    return this.#access.at("mkdir", path, { follow: false }, (place, call) =>
      changes.makeDirectory(this.#root, place, call),
    );
  }

  async mkdirBelow(path: string, names: readonly string[]): Promise<void> {
    const call: Call = { syscall: "mkdir", path: joinNames(path, names) };
    let directory = await this.#access.at<Directory>("mkdir", path, { follow: true }, (place, call) => {
      const { fd, stats, mount } = place.existing(call);
      if (!stats.isDirectory()) throw posixError("ENOTDIR", call);
      return { fd: duplicateDirectory(fd), stats, mount };
    });
    try {
      for (const name of names) {
        const turn = pause();
        if (turn !== null) await turn;
        this.#access.assertOpen();
        const made = await changes.makeDirectoryIn(this.#root, directory, name, call);
        closeSync(directory.fd);
        directory = made;
      }
    } catch (error) {
      throw asPosixError(error, call);
    } finally {
      closeSync(directory.fd);
    }
  }

  rmdir(path: string): Promise<void> {
    return this.#access.at("rmdir", path, { follow: false }, (place, call) =>
      changes.removeDirectory(this.#root, place, call),
    );
  }

  async removeTree(path: string): Promise<void> {
    const removal = await this.#access.at(
      "rmdir",
      path,
      { follow: false },
      (place) => new TreeRemoval(this.#access, place, path),
    );
    await removal.run();
  }

  unlink(path: string): Promise<void> {
    return this.#access.at("unlink", path, { follow: false }, (place, call) =>
      changes.removeFile(this.#root, place, call),
    );
  }

  rename(from: string, to: string): Promise<void> {
    const rename = async (source: Place, call: Call) => {
      const target = await walk(this.#root, call, to, { follow: false });
      try {
        await changes.rename(this.#root, source, target, call);
      } finally {
        await target.close();
      }
    };
    return this.#access.at("rename", from, { follow: false, named: { path: from, destination: to } }, rename);
  }

  readlink(path: string): Promise<string> {
    return this.#access.at("readlink", path, { follow: path.endsWith("/") }, (place, call) =>
      place.readLink(call),
    );
  }

  symlink(target: string, path: string): Promise<void> {
    const make = (place: Place, call: Call) => changes.makeSymlink(this.#root, place, call, target);
    return this.#access.at(
      "symlink",
      path,
      { follow: false, named: { path: target, destination: path } },
      make,
    );
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#access.at("chmod", path, { follow: true }, (place, call) =>
      changes.changeMode(this.#root, place.existing(call), call, mode),
    );
  }

  utimes(path: string, atimeMs: number, mtimeMs: number): Promise<void> {
    return this.#access.at("utime", path, { follow: true }, (place, call) =>
      changes.changeTimes(this.#root, place.existing(call), call, atimeMs, mtimeMs),
    );
  }

  /** Connects to a Unix socket. The kernel finds a socket by its file, whatever network namespace its program is in. */
  async connect(path: string): Promise<Socket> {
    const { connected } = await this.#access.at("connect", path, { follow: true }, (place, call) => {
      const { fd, stats } = place.existing(call);
      // A socket that is mounted into the VM is one of the host.
      if (!stats.isSocket() || this.#root.isForeign(stats)) throw posixError("ECONNREFUSED", call);
      const connected = new Promise<Socket>((resolve, reject) => {
        // Connects within this turn, before the descriptor is closed.
        const socket = connect({ path: descriptorPath(fd), allowHalfOpen: true });
        socket.once("connect", () => resolve(socket));
        socket.on("error", reject);
      });
      connected.catch(() => undefined);
      return { connected };
    });
    return await connected.catch((error: unknown) => {
      throw asPosixError(error, { syscall: "connect", path });
    });
  }

  async mountOf(path: string, { follow }: { follow: boolean }): Promise<VmMount | undefined> {
    if (this.#root.mounted.size === 0) return undefined;
    const mountAt = (at: string) =>
      this.#access.at("stat", at, { follow: follow || at !== path }, ({ mount }) => mount);
    try {
      return await mountAt(path);
    } catch (error) {
      // The change itself reports every other error.
      if (codeOf(error) !== "ENOENT") return undefined;
    }
    // A path that does not exist yet lies in the mount of the directory above it.
    try {
      return await mountAt((await splitExisting(dirname(path), mountAt)).existing);
    } catch {
      return undefined;
    }
  }

  /**
   * Takes a new mount into the table.
   *
   * @param mount with the device and inode of its root, as the program that made the mount has seen them
   * @throws AgentVmError `ESTALE` if the path leads elsewhere
   */
  addMount(mount: Omit<Mounted, "fd">): Promise<Mounted> {
    return this.#access.at("mount", mount.path, { follow: false }, (place, call) => {
      const { fd, stats } = place.existing(call);
      if (stats.dev !== mount.dev || stats.ino !== mount.ino) throw posixError("ESTALE", call);
      const mounted = { ...mount, fd: duplicateDirectory(fd) };
      this.#root.mounted.add(mounted);
      return mounted;
    });
  }

  get hasMounts(): boolean {
    return this.#root.mounted.size > 0;
  }

  /** Returns the mount of exactly this path. */
  findMount(path: string): Mounted | undefined {
    return this.#root.mounted.get(path);
  }

  /** Returns the innermost mount at or above a path. */
  findMountAbove(path: string): Mounted | undefined {
    return this.#root.mounted.at(path);
  }

  removeMount(path: string): Promise<void> {
    return this.#root.mounted.remove(path);
  }

  close(): Promise<void> {
    this.tree.budget.close();
    return this.#access.close().finally(() => this.#root.mounted.close());
  }

  #readGenerated(entry: Entry, call: Call, maxBytes: number): (() => Promise<Uint8Array>) | undefined {
    const read = this.#readInside;
    if (read === undefined || !this.#root.isGenerated(entry)) return undefined;
    assertOpenable(this.#root, entry, call);
    return () => read(call.path, call, Math.min(maxBytes, MAX_UNSIZED_BYTES));
  }

  async #writeInPieces(path: string, data: Uint8Array): Promise<void> {
    const writer = await this.openWriter(path);
    try {
      await writer.write(0, data);
      await writer.commit();
    } catch (error) {
      throw this.#access.isOpen ? error : vmStopped();
    } finally {
      await writer.close();
    }
  }

  #describe(entry: Entry): VirtualStat {
    return toVirtualStat(entry.stats, this.#root.owner);
  }
}
