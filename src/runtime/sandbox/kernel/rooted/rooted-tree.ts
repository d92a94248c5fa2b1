import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  type Stats,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { pause } from "../../pace.ts";
import type {
  Attribute,
  AttributesFound,
  NodeMetadata,
  PersistentTree,
  TreeFile,
  TreeNode,
} from "../../persistent-tree.ts";
import { asPosixError, type Call, posixError } from "../../posix.ts";
import { isTemporaryName } from "../../temporary.ts";
import type { Attributes } from "./attributes.ts";
import { seconds } from "./changes.ts";
import { at, Descriptor, descriptorPath, duplicateDirectory, O_PATH } from "./descriptors.ts";
import { eachEntry } from "./listing.ts";
import { decodeName, encodeName } from "./names.ts";
import { openForReading } from "./open.ts";
import type { Place } from "./place.ts";
import { PIECE_BYTES, SYNC_BYTES } from "./reader.ts";
import type { Root } from "./root.ts";

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const MODE_BITS = 0o7777;

/** Walks to a path and works there before anything else can run. */
export type AtPlace = <T>(call: Call, path: string, work: (place: Place) => T) => Promise<Awaited<T>>;

/** The VM's own files behind descriptors, for checkpoints. */
export class RootedTree implements PersistentTree {
  readonly #root: Root;
  readonly #at: AtPlace;
  readonly #attributes: Attributes | undefined;

  /** @param attributes where the host can read extended ones */
  constructor(root: Root, at: AtPlace, attributes: Attributes | undefined) {
    this.#root = root;
    this.#at = at;
    this.#attributes = attributes;
  }

  async list(path: string): Promise<TreeNode[]> {
    const call: Call = { syscall: "scandir", path };
    const fd = await this.#at(call, path, (place) => {
      const { fd, stats } = place.existing(call);
      if (!stats.isDirectory()) throw posixError("ENOTDIR", call);
      if (this.#root.isForeign(stats)) throw posixError("EXDEV", call);
      return duplicateDirectory(fd);
    });
    try {
      const nodes: TreeNode[] = [];
      await eachEntry(fd, (name) => {
        if (isTemporaryName(name)) return;
        const stats = lstatSync(at(fd, name), { throwIfNoEntry: false });
        if (stats !== undefined && !this.#root.isForeign(stats)) nodes.push(describe(name, stats));
      });
      return nodes;
    } catch (error) {
      throw asPosixError(error, call);
    } finally {
      closeSync(fd);
    }
  }

  stat(path: string): Promise<TreeNode | undefined> {
    return this.#at({ syscall: "lstat", path }, path, ({ entry }) =>
      entry === null || this.#root.isForeign(entry.stats) ? undefined : describe(nameOf(path), entry.stats),
    );
  }

  readlink(path: string): Promise<string> {
    const call: Call = { syscall: "readlink", path };
    return this.#at(call, path, (place) => {
      if (!place.existing(call).stats.isSymbolicLink()) throw posixError("EINVAL", call);
      return decodeName(readlinkSync(place.namePath(call), "latin1"));
    });
  }

  open(path: string, ino: number): Promise<TreeFile | undefined> {
    const call: Call = { syscall: "open", path };
    return this.#at(call, path, (place) => {
      const { entry } = place;
      if (entry === null || entry.stats.ino !== ino || !entry.stats.isFile()) return undefined;
      if (this.#root.isForeign(entry.stats)) return undefined;
      return new RootedTreeFile(openForReading(this.#root, entry, call), call);
    });
  }

  makeDirectory(path: string, mode: number): Promise<void> {
    const call: Call = { syscall: "mkdir", path };
    return this.#at(call, path, (place) => {
      if (place.entry?.stats.isDirectory()) return;
      if (place.entry !== null) throw posixError("EEXIST", call);
      const name = place.writablePath(call);
      mkdirOwned(name, mode, this.#root);
    });
  }

  async makeFile(
    path: string,
    metadata: NodeMetadata,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<TreeNode> {
    const call: Call = { syscall: "open", path };
    const fd = await this.#at(call, path, (place) => openSync(place.writablePath(call), CREATE, 0o600));
    try {
      for await (const piece of content) {
        for (let done = 0; done < piece.length; ) {
          await pause();
          done += writeSync(fd, piece, done, Math.min(piece.length - done, PIECE_BYTES));
        }
      }
      this.#root.own(fd);
      // After the owner, whose change takes set-user-id away.
      fchmodSync(fd, metadata.mode);
      futimesSync(fd, seconds(metadata.mtimeMs), seconds(metadata.mtimeMs));
      return describe(nameOf(path), fstatSync(fd));
    } catch (error) {
      throw asPosixError(error, { syscall: "write", path });
    } finally {
      closeSync(fd);
    }
  }

  makeSymlink(path: string, target: string): Promise<void> {
    const call: Call = { syscall: "symlink", path: target, destination: path };
    return this.#at(call, path, (place) => {
      const name = place.writablePath(call);
      symlinkSync(encodeName(target), name);
      const fd = openSync(name, O_PATH | constants.O_NOFOLLOW);
      try {
        this.#root.ownPath(fd);
      } finally {
        closeSync(fd);
      }
    });
  }

  async makeLink(existing: string, path: string): Promise<void> {
    const call: Call = { syscall: "link", path: existing, destination: path };
    const source = await this.#at(call, existing, (place) => {
      if (!place.existing(call).stats.isFile()) throw posixError("EINVAL", call);
      return { directory: place.keepDirectory(call), name: place.writable(call).name };
    });
    try {
      await this.#at(call, path, (place) =>
        linkSync(at(source.directory, source.name), place.writablePath(call)),
      );
    } finally {
      closeSync(source.directory);
    }
  }

  setMetadata(path: string, { mode, mtimeMs }: NodeMetadata): Promise<void> {
    const call: Call = { syscall: "chmod", path };
    return this.#at(call, path, (place) => {
      const { fd, stats } = place.existing(call);
      if (stats.isSymbolicLink() || this.#root.isForeign(stats)) throw posixError("EINVAL", call);
      chmodSync(descriptorPath(fd), mode);
      utimesSync(descriptorPath(fd), seconds(mtimeMs), seconds(mtimeMs));
    });
  }

  async attributes(nodes: readonly { path: string; ino: number }[]): Promise<AttributesFound[]> {
    if (this.#attributes === undefined) return nodes.map(() => []);
    return nodes.length === 0 ? [] : await this.#attributes.read(nodes);
  }

  async setAttributes(nodes: readonly { path: string; attributes: readonly Attribute[] }[]): Promise<void> {
    if (nodes.length > 0) await this.#attributes?.replace(nodes);
  }
}

class RootedTreeFile implements TreeFile {
  readonly #fd: number;
  readonly #file: Descriptor;
  readonly #call: Call;

  constructor(fd: number, call: Call) {
    this.#fd = fd;
    this.#file = new Descriptor(fd);
    this.#call = { ...call, syscall: "read" };
  }

  stat(): TreeNode {
    this.#file.assertOpen(this.#call);
    return describe("", fstatSync(this.#fd));
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    for (let filled = 0; filled < target.length; ) {
      await pause();
      const piece = target.subarray(filled, filled + SYNC_BYTES);
      const count = this.#file.readNow(piece, offset + filled, this.#call);
      if (count === 0) return filled;
      filled += count;
    }
    return target.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function mkdirOwned(name: string | Buffer, mode: number, root: Root): void {
  mkdirSync(name, mode);
  const fd = openSync(name, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    root.ownPath(fd);
    chmodSync(descriptorPath(fd), mode);
  } finally {
    closeSync(fd);
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function describe(name: string, stats: Stats): TreeNode {
  const { mode, size, mtimeMs, ctimeMs, ino, nlink } = stats;
  return { name, type: typeOf(stats), mode: mode & MODE_BITS, size, mtimeMs, ctimeMs, ino, nlink };
}

function typeOf(stats: Stats): TreeNode["type"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  return stats.isSymbolicLink() ? "symlink" : "other";
}
