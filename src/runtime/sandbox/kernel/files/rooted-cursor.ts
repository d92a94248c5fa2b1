import { closeSync, constants, fstatSync } from "node:fs";
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
import type { FileCalls } from "./calls.ts";
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
import { seconds } from "./times.ts";
import { describe, isWhiteout, RootedTreeFile, visitNodes } from "./tree-file.ts";
import { TreeWalker } from "./tree-walker.ts";

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Bits of a mode that a new file may have before the VM's user owns it. */
const PERMISSIONS = 0o777;

/** Writes a piece of a file. */
async function writeAll(calls: FileCalls, fd: number, piece: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const turn = pause();
    if (turn !== null) await turn;
    done += await calls.write(fd, piece.subarray(done, done + PIECE_BYTES), position + done);
  }
}

const callAt = (syscall: string, { name }: TreePlace): Call => ({ syscall, path: name });

/** Reads and makes a VM's tree, from one open directory to the next. */
export class RootedTreeCursor implements TreeCursor {
  readonly #root: Root;
  readonly #calls: FileCalls;
  readonly #access: TreeAccess;
  readonly #walker: TreeWalker;
  readonly #holes: Holes;
  readonly #onClose: () => void;

  constructor(access: TreeAccess, holes: Holes, onClose: () => void) {
    this.#holes = holes;
    this.#root = access.root;
    this.#calls = access.root.calls;
    this.#access = access;
    this.#walker = new TreeWalker(access);
    this.#onClose = onClose;
  }

  async visit(directory: TreePlace, each: (node: TreeNode) => void): Promise<void> {
    const call = callAt("scandir", directory);
    await this.#walker.in(directory, call, (fd) => visitNodes(this.#root, fd, each));
  }

  async stat(place: TreePlace): Promise<TreeNode | undefined> {
    return await this.#walker.in(place.parent, callAt("lstat", place), async (fd) => {
      const stats = place.parent === null ? fstatSync(fd) : await this.#calls.find(at(fd, place.name));
      return stats === undefined || this.#root.isForeign(stats) ? undefined : describe(place.name, stats);
    });
  }

  async readlink(place: TreePlace): Promise<string> {
    return await this.#walker.in(place.parent, callAt("readlink", place), async (fd) => {
      const path = at(fd, place.name);
      if (isWhiteout(await this.#calls.lstat(path))) return WHITEOUT_TARGET;
      return decodeName(await this.#calls.readlink(path));
    });
  }

  async open(place: TreePlace, ino: number): Promise<TreeFile | undefined> {
    const call = callAt("open", place);
    return await this.#walker.in(place.parent, call, (directory) => {
      return withOpen(this.#calls, at(directory, place.name), NODE, (fd) => {
        const stats = fstatSync(fd);
        if (stats.ino !== ino || !stats.isFile() || this.#root.isForeign(stats)) return undefined;
        return new RootedTreeFile(openForReading(this.#root, { fd, stats }, call), this.#holes, call);
      });
    });
  }

  async makeDirectory(place: TreePlace, mode: number): Promise<void> {
    await this.#walker.in(place.parent, callAt("mkdir", place), async (directory) => {
      const name = at(directory, place.name);
      if ((await this.#calls.find(name))?.isDirectory()) return;
      await this.#calls.mkdir(name, mode);
      await withOpen(this.#calls, name, DIRECTORY, async (fd) => {
        await this.#root.ownPath(fd);
        await this.#calls.chmod(descriptorPath(fd), mode);
      });
    });
  }

  async makeFile(place: TreePlace, metadata: NodeMetadata, content: TreeContent): Promise<TreeNode> {
    const fd = await this.#walker.in(place.parent, callAt("open", place), (directory) =>
      this.#calls.open(at(directory, place.name), CREATE, metadata.mode & PERMISSIONS),
    );
    let isHuge = true;
    try {
      let position = 0;
      let endsWithHole = false;
      const put = (piece: Uint8Array | Hole) => {
        endsWithHole = "hole" in piece;
        const start = position;
        position += "hole" in piece ? piece.hole : piece.length;
        return "hole" in piece ? undefined : writeAll(this.#calls, fd, piece, start);
      };
      // Many small files: a promise for each step would take longer than the file.
      if (Symbol.iterator in content) for (const piece of content) await put(piece);
      else for await (const piece of content) await put(piece);
      // A hole at the end has no piece after it.
      if (endsWithHole) await this.#calls.ftruncate(fd, position);
      await this.#root.own(fd);
      await this.#calls.futimes(fd, seconds(metadata.mtimeMs), seconds(metadata.mtimeMs));
      let stats = fstatSync(fd);
      if ((stats.mode & MODE_BITS) !== metadata.mode) {
        // The server's umask has taken bits off, or fchown(2) set-user-id.
        await this.#calls.fchmod(fd, metadata.mode);
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
    await this.#walker.in(place.parent, callAt("symlink", place), async (directory) => {
      const name = at(directory, place.name);
      await this.#calls.symlink(encodeName(target), name);
      await withOpen(this.#calls, name, NODE, (fd) => this.#root.ownPath(fd));
    });
  }

  async makeLink(existing: TreePlace, place: TreePlace): Promise<void> {
    const call = callAt("link", place);
    const source = await this.#walker.in(existing.parent, call, async (directory) => {
      if (!(await this.#calls.lstat(at(directory, existing.name))).isFile()) throw posixError("EINVAL", call);
      return duplicateDirectory(directory);
    });
    try {
      await this.#walker.in(place.parent, call, (directory) =>
        this.#calls.link(at(source, existing.name), at(directory, place.name)),
      );
    } finally {
      closeSync(source);
    }
  }

  async setMetadata(place: TreePlace, { mode, mtimeMs }: NodeMetadata): Promise<void> {
    const call = callAt("chmod", place);
    await this.#walker.in(place.parent, call, (directory) =>
      withOpen(this.#calls, at(directory, place.name || "."), NODE, async (fd) => {
        const stats = fstatSync(fd);
        if (stats.isSymbolicLink() || this.#root.isForeign(stats)) throw posixError("EINVAL", call);
        await this.#calls.chmod(descriptorPath(fd), mode);
        await this.#calls.utimes(descriptorPath(fd), seconds(mtimeMs), seconds(mtimeMs));
      }),
    );
  }

  async rename(place: TreePlace, name: string): Promise<void> {
    await this.#walker.in(place.parent, callAt("rename", place), (fd) =>
      unname(this.#calls, at(fd, name), () => this.#calls.rename(at(fd, place.name), at(fd, name))),
    );
  }

  async remove(place: TreePlace): Promise<void> {
    const { name, parent } = place;
    const call = callAt("unlink", place);
    if (parent === null) throw posixError("EBUSY", call);
    await this.#walker.in(parent, call, async (fd) => {
      const stats = await this.#calls.lstat(at(fd, name));
      if (this.#root.isForeign(stats)) throw posixError("EBUSY", call);
      if (stats.isDirectory()) return await this.#removeDirectory(fd, name);
      const remove = () => this.#calls.unlink(at(fd, name));
      await (isLarge(stats) ? unname(this.#calls, at(fd, name), remove) : remove());
    });
  }

  async #removeDirectory(parent: number, name: string): Promise<void> {
    const removal = await withOpen(this.#calls, at(parent, name), DIRECTORY, (fd) => {
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
