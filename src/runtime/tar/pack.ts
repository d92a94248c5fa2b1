import { stripSlash } from "../filesystem/paths.ts";
import { depthFirst, type Excludes, type ScannedNode, scanTree } from "../persistence/scan.ts";
import type { FileSystem } from "../sandbox/files.ts";
import { pause, visitAll } from "../sandbox/pace.ts";
import type { PersistentTree } from "../sandbox/persistent-tree.ts";
import { codeOf, posixError } from "../sandbox/posix.ts";
import { END_OF_TAR, encodeHeader, paddingOf, type TarHeader } from "./write.ts";

/** Read of a file at a time. */
const PIECE_BYTES = 1024 * 1024;

/** What the header of a name with a broken time takes, which most have. */
const USUAL_HEADER_BYTES = 3 * 512;

/** What a tar archive is made of, as it was when it was begun. */
export interface Packing {
  /** Its size in bytes, if nothing changes meanwhile; about right. */
  estimate: number;
  /** The archive, in pieces of any size up to 1 MiB. */
  pieces: AsyncGenerator<Uint8Array>;
}

/**
 * Packs a directory with all that is the VM's own below it, or a single file. Names in the archive are relative to the
 * directory, as those of `tar -C path -c .`.
 *
 * @throws AgentVmError ENOENT where nothing is, EXDEV for what is mounted into the VM
 */
export async function packTree(fs: FileSystem, path: string, isExcluded: Excludes): Promise<Packing> {
  const { tree } = fs;
  const top = await topOf(fs, path === "/" ? "" : stripSlash(path));
  const nodes = top.type === "directory" ? await below(tree, isExcluded, top.path) : [];
  let estimate = END_OF_TAR.length + USUAL_HEADER_BYTES;
  await visitAll([top, ...nodes], ({ type, size }) => {
    estimate += USUAL_HEADER_BYTES + (type === "file" ? size + paddingOf(size) : 0);
  });
  return { estimate, pieces: pack(tree, top, nodes) };
}

/** Depth first: only then do other tars give a directory its time after all that they make in it. */
async function below(tree: PersistentTree, isExcluded: Excludes, top: string): Promise<ScannedNode[]> {
  return await depthFirst((await scanTree(tree, isExcluded, top)).nodes, top);
}

async function topOf(fs: FileSystem, path: string): Promise<ScannedNode> {
  const existing = path === "" ? "/" : path;
  await fs.lstat(existing);
  const node = await fs.tree.stat(existing);
  if (node === undefined) throw posixError("EXDEV", { syscall: "open", path: existing });
  if (node.type === "other") throw posixError("EINVAL", { syscall: "open", path: existing });
  return { ...node, path };
}

async function* pack(
  tree: PersistentTree,
  top: ScannedNode,
  nodes: readonly ScannedNode[],
): AsyncGenerator<Uint8Array> {
  const packer = new Packer(tree, top);
  for (const node of [top, ...nodes]) {
    await pause();
    yield* packer.pack(node);
  }
  yield END_OF_TAR;
}

class Packer {
  readonly #tree: PersistentTree;
  readonly #top: ScannedNode;
  /** The first names of files that have several. */
  readonly #firstNames = new Map<number, string>();

  constructor(tree: PersistentTree, top: ScannedNode) {
    this.#tree = tree;
    this.#top = top;
  }

  /** What has gone since the scan is left out. */
  async *pack(node: ScannedNode): AsyncGenerator<Uint8Array> {
    const { type, mode, mtimeMs, ino, nlink } = node;
    const name = this.#nameOf(node);
    const header = { name, mode, mtimeMs };
    if (type === "directory") yield encodeHeader({ ...header, type });
    if (type === "symlink") {
      const target = await unlessGone(this.#tree.readlink(node.path));
      if (target !== undefined) yield encodeHeader({ ...header, type, target });
    }
    if (type !== "file") return;
    const target = nlink > 1 ? this.#firstNames.get(ino) : undefined;
    if (target !== undefined) yield encodeHeader({ ...header, type: "link", target });
    else yield* this.#packFile(node, { ...header, type });
  }

  async *#packFile(node: ScannedNode, header: TarHeader): AsyncGenerator<Uint8Array> {
    const file = await unlessGone(this.#tree.open(node.path, node.ino));
    if (file === undefined) return;
    try {
      const { size, mode, mtimeMs } = file.stat();
      yield encodeHeader({ ...header, size, mode, mtimeMs });
      if (node.nlink > 1) this.#firstNames.set(node.ino, header.name);
      for (let offset = 0; offset < size; ) {
        const piece = new Uint8Array(Math.min(PIECE_BYTES, size - offset));
        // A file that has been cut meanwhile is filled up with zeros: its size has been told.
        const count = (await file.read(piece, offset)) || piece.length;
        yield piece.subarray(0, count);
        offset += count;
      }
      yield new Uint8Array(paddingOf(size));
    } finally {
      await file.close();
    }
  }

  #nameOf({ path, type }: ScannedNode): string {
    if (this.#top.type !== "directory") return `./${this.#top.name}`;
    const below = path.slice(this.#top.path.length + 1);
    return type === "directory" && below !== "" ? `./${below}/` : `./${below}`;
  }
}

/** What a path answers at which something else is by now, or whose directory has gone. */
const GONE = ["ENOENT", "ENOTDIR", "EINVAL", "ELOOP"];

async function unlessGone<Found>(finding: Promise<Found>): Promise<Found | undefined> {
  try {
    return await finding;
  } catch (error) {
    if (GONE.includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}
