import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { pause } from "../../../../base/pace.ts";
import { WHITEOUT_TARGET } from "../../mounts.ts";
import { decodeName, encodeName } from "../../names.ts";
import {
  type Hole,
  MODE_BITS,
  type NodeMetadata,
  type TreeContent,
  type TreeCursor,
  type TreeFile,
  type TreeNode,
  type TreePlace,
} from "../../persistent-tree.ts";
import { asPosixError, type Call, posixError } from "../../posix.ts";
import type { TreeAccess } from "./access.ts";
import { seconds } from "./changes.ts";
import {
  at,
  closeFile,
  DIRECTORY,
  descriptorPath,
  duplicateDirectory,
  isLarge,
  NODE,
  unname,
  withOpen,
} from "./descriptors.ts";
import type { Holes } from "./holes.ts";
import { openForReading } from "./open.ts";
import { Place } from "./place.ts";
import { PIECE_BYTES } from "./reader.ts";
import { TreeRemoval } from "./removal.ts";
import type { Root } from "./root.ts";
import { describe, isWhiteout, RootedTreeFile, visitNodes } from "./tree-file.ts";
import { TreeWalker } from "./tree-walker.ts";

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Bits of a mode that a new file may have before the VM's user owns it. */
const PERMISSIONS = 0o777;

/** Writes a piece of a file. @returns a promise if it takes more than a turn */
function writePiece(fd: number, piece: Uint8Array, position: number): Promise<void> | undefined {
  if (piece.length === 0) return undefined;
  const turn = pause();
  if (turn !== null || piece.length > PIECE_BYTES) return writeInTurns(fd, piece, position, turn);
  const done = writeSync(fd, piece, 0, piece.length, position);
  return done === piece.length ? undefined : writeInTurns(fd, piece.subarray(done), position + done, null);
}

async function writeInTurns(
  fd: number,
  piece: Uint8Array,
  position: number,
  first: Promise<void> | null,
): Promise<void> {
  await first;
  for (let done = 0; done < piece.length; ) {
    const count = Math.min(piece.length - done, PIECE_BYTES);
    done += writeSync(fd, piece, done, count, position + done);
    await pause();
  }
}

const callAt = (syscall: string, { name }: TreePlace): Call => ({ syscall, path: name });

/** Reads and makes a VM's tree, from one open directory to the next. */
export class RootedTreeCursor implements TreeCursor {
  readonly #root: Root;
  readonly #access: TreeAccess;
  readonly #walker: TreeWalker;
  readonly #holes: Holes;
  readonly #onClose: () => void;

  constructor(access: TreeAccess, holes: Holes, onClose: () => void) {
    this.#holes = holes;
    this.#root = access.root;
    this.#access = access;
    this.#walker = new TreeWalker(access);
    this.#onClose = onClose;
  }

  async visit(directory: TreePlace, each: (node: TreeNode) => void): Promise<void> {
    const call = callAt("scandir", directory);
    await this.#walker.in(directory, call, (fd) => visitNodes(this.#root, fd, each));
  }

  async stat(place: TreePlace): Promise<TreeNode | undefined> {
    return await this.#walker.in(place.parent, callAt("lstat", place), (fd) => {
      const stats =
        place.parent === null ? fstatSync(fd) : lstatSync(at(fd, place.name), { throwIfNoEntry: false });
      return stats === undefined || this.#root.isForeign(stats) ? undefined : describe(place.name, stats);
    });
  }

  async readlink(place: TreePlace): Promise<string> {
    return await this.#walker.in(place.parent, callAt("readlink", place), (fd) => {
      const path = at(fd, place.name);
      return isWhiteout(lstatSync(path)) ? WHITEOUT_TARGET : decodeName(readlinkSync(path, "latin1"));
    });
  }

  async open(place: TreePlace, ino: number): Promise<TreeFile | undefined> {
    const call = callAt("open", place);
    return await this.#walker.in(place.parent, call, (directory) => {
      return withOpen(at(directory, place.name), NODE, (fd) => {
        const stats = fstatSync(fd);
        if (stats.ino !== ino || !stats.isFile() || this.#root.isForeign(stats)) return undefined;
        return new RootedTreeFile(openForReading(this.#root, { fd, stats }, call), this.#holes, call);
      });
    });
  }

  async makeDirectory(place: TreePlace, mode: number): Promise<void> {
    await this.#walker.in(place.parent, callAt("mkdir", place), (directory) => {
      const name = at(directory, place.name);
      if (lstatSync(name, { throwIfNoEntry: false })?.isDirectory()) return;
      mkdirSync(name, mode);
      withOpen(name, DIRECTORY, (fd) => {
        this.#root.ownPath(fd);
        chmodSync(descriptorPath(fd), mode);
      });
    });
  }

  async makeFile(place: TreePlace, metadata: NodeMetadata, content: TreeContent): Promise<TreeNode> {
    const fd = await this.#walker.in(place.parent, callAt("open", place), (directory) =>
      openSync(at(directory, place.name), CREATE, metadata.mode & PERMISSIONS),
    );
    let isHuge = true;
    try {
      let position = 0;
      let endsWithHole = false;
      const put = (piece: Uint8Array | Hole) => {
        endsWithHole = "hole" in piece;
        const start = position;
        position += "hole" in piece ? piece.hole : piece.length;
        return "hole" in piece ? undefined : writePiece(fd, piece, start);
      };
      // Many small files: a promise for each step would take longer than the file.
      if (Symbol.iterator in content) for (const piece of content) await put(piece);
      else for await (const piece of content) await put(piece);
      // A hole at the end has no piece after it.
      if (endsWithHole) ftruncateSync(fd, position);
      this.#root.own(fd);
      futimesSync(fd, seconds(metadata.mtimeMs), seconds(metadata.mtimeMs));
      let stats = fstatSync(fd);
      if ((stats.mode & MODE_BITS) !== metadata.mode) {
        // The server's umask has taken bits off, or fchown(2) set-user-id.
        fchmodSync(fd, metadata.mode);
        stats = fstatSync(fd);
      }
      isHuge = isLarge(stats);
      return describe(place.name, stats);
    } catch (error) {
      throw asPosixError(error, callAt("write", place));
    } finally {
      if (isHuge) await closeFile(fd);
      else closeSync(fd);
    }
  }

  async makeSymlink(place: TreePlace, target: string): Promise<void> {
    await this.#walker.in(place.parent, callAt("symlink", place), (directory) => {
      const name = at(directory, place.name);
      symlinkSync(encodeName(target), name);
      withOpen(name, NODE, (fd) => this.#root.ownPath(fd));
    });
  }

  async makeLink(existing: TreePlace, place: TreePlace): Promise<void> {
    const call = callAt("link", place);
    const source = await this.#walker.in(existing.parent, call, (directory) => {
      if (!lstatSync(at(directory, existing.name)).isFile()) throw posixError("EINVAL", call);
      return duplicateDirectory(directory);
    });
    try {
      await this.#walker.in(place.parent, call, (directory) =>
        linkSync(at(source, existing.name), at(directory, place.name)),
      );
    } finally {
      closeSync(source);
    }
  }

  async setMetadata(place: TreePlace, { mode, mtimeMs }: NodeMetadata): Promise<void> {
    const call = callAt("chmod", place);
    await this.#walker.in(place.parent, call, (directory) => {
      withOpen(at(directory, place.name || "."), NODE, (fd) => {
        const stats = fstatSync(fd);
        if (stats.isSymbolicLink() || this.#root.isForeign(stats)) throw posixError("EINVAL", call);
        chmodSync(descriptorPath(fd), mode);
        utimesSync(descriptorPath(fd), seconds(mtimeMs), seconds(mtimeMs));
      });
    });
  }

  async rename(place: TreePlace, name: string): Promise<void> {
    await this.#walker.in(place.parent, callAt("rename", place), (fd) =>
      unname(at(fd, name), () => renameSync(at(fd, place.name), at(fd, name))),
    );
  }

  async remove(place: TreePlace): Promise<void> {
    const { name, parent } = place;
    const call = callAt("unlink", place);
    if (parent === null) throw posixError("EBUSY", call);
    await this.#walker.in(parent, call, (fd) => {
      const stats = lstatSync(at(fd, name));
      if (this.#root.isForeign(stats)) throw posixError("EBUSY", call);
      if (stats.isDirectory()) return this.#removeDirectory(fd, name);
      const remove = () => unlinkSync(at(fd, name));
      return isLarge(stats) ? unname(at(fd, name), remove) : remove();
    });
  }

  async #removeDirectory(parent: number, name: string): Promise<void> {
    const removal = withOpen(at(parent, name), DIRECTORY, (fd) => {
      const directory = { fd: parent, stats: fstatSync(parent) };
      const place = new Place(this.#root, { directory, name }, { fd, stats: fstatSync(fd) }, false);
      return new TreeRemoval(this.#access, place, name);
    });
    await removal.run();
  }

  /** Waits for the running method. */
  async close(): Promise<void> {
    await this.#walker.close();
    this.#onClose();
  }
}
