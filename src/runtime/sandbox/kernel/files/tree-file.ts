import { fstatSync, type Stats } from "node:fs";
import { pause } from "../../../../base/pace.ts";
import { isTemporaryName } from "../../names.ts";
import { type DataPart, type TreeFile, type TreeNode, treeNode } from "../../persistent-tree.ts";
import { type Call, posixError } from "../../posix.ts";
import { at, Descriptor } from "./descriptors.ts";
import type { Holes } from "./holes.ts";
import { eachEntry, typeOf } from "./listing.ts";
import { SYNC_BYTES } from "./reader.ts";
import type { Root } from "./root.ts";

/** Unit of a file's blocks in stat(2). */
const BLOCK_BYTES = 512;

/** A file with fewer missing bytes is read without a search for holes. */
const MIN_MISSING_BYTES = 64 * 1024;

/** Zeros of holes that are read on a host that cannot find holes. */
const MAX_ZEROS_BYTES = 1024 * 1024 * 1024;

export class RootedTreeFile implements TreeFile {
  readonly #fd: number;
  readonly #file: Descriptor;
  readonly #call: Call;
  readonly #holes: Holes | undefined;

  constructor(fd: number, holes: Holes | undefined, call: Call) {
    this.#holes = holes;
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

  async parts(from: number): Promise<DataPart[]> {
    this.#file.assertOpen(this.#call);
    const { size, blocks } = fstatSync(this.#fd);
    const missing = size - blocks * BLOCK_BYTES;
    if (missing < MIN_MISSING_BYTES) return [{ start: from, end: size }];
    if (this.#holes !== undefined) return await this.#holes.partsOf(this.#fd, from);
    if (missing > MAX_ZEROS_BYTES) throw posixError("EFBIG", this.#call);
    return [{ start: from, end: size }];
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Describes a file by its stats. A whiteout of an overlay is kept as a link. */
export function describe(name: string, stats: Stats): TreeNode {
  return treeNode(name, isWhiteout(stats) ? "symlink" : typeOf(stats), stats);
}

/** `true` for the mark of a deleted file in the upper layer of an overlay: a device that any user may make. */
export function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0;
}

/** Visits the VM's own nodes in a directory, without temporary files. */
export async function visitNodes(root: Root, fd: number, each: (node: TreeNode) => void): Promise<void> {
  await eachEntry(root.calls, fd, (name) => {
    if (isTemporaryName(name)) return;
    const see = (stats: Stats | undefined) => {
      if (stats !== undefined && !root.isForeign(stats)) each(describe(name, stats));
    };
    const found = root.calls.find(at(fd, name));
    return found instanceof Promise ? found.then(see) : see(found);
  });
}
