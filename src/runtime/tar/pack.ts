import { pause } from "../../base/pace.ts";
import { NodeTable, type ScannedNode } from "../filesystem/node-table.ts";
import { stripSlash } from "../filesystem/paths.ts";
import { type Excludes, scanTree } from "../filesystem/scan.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { DataPart, TreeCursor, TreeFile } from "../sandbox/persistent-tree.ts";
import { codeOf, posixError } from "../sandbox/posix.ts";
import type { TreeAccount } from "../sandbox/tree-budget.ts";
import { PathWriter, placeOf } from "../sandbox/tree-path.ts";
import { encodeMap, partsOf, sparseRecords } from "./sparse.ts";
import { END_OF_TAR, encodeHeader, paddingOf, type TarHeader } from "./write.ts";

/** Maximum bytes of a file read at a time. */
const PIECE_BYTES = 1024 * 1024;

/** Name that a tar gives a sparse file if it does not know the form. */
const SPARSE_ENTRY = "./GNUSparseFile.0/file";

/** Memory of a file with several names, without the first name. */
const FIRST_NAME_BYTES = 300;

/** Bytes of a header with a fractional time, which most files have. */
const USUAL_HEADER_BYTES = 3 * 512;

/** Tar archive that is being packed from the list of files at its start. */
export interface Packing {
  /** Approximate size of the archive in bytes, if the files do not change. */
  estimate: number;
  /** Bytes of the archive, in pieces of up to 1 MiB. */
  pieces: AsyncGenerator<Uint8Array>;
  /** Closes the open files and gives the memory for the list back. */
  close(): Promise<void>;
}

/**
 * Packs a single file, or a directory with the VM's own files below it. Names in the archive are relative to the directory,
 * as with `tar -C path -c .`.
 *
 * @throws AgentVmError ENOENT if the path does not exist, EXDEV if it is mounted into the VM
 */
export async function packTree(fs: FileSystem, path: string, isExcluded: Excludes): Promise<Packing> {
  const top = await topOf(fs, stripSlash(path));
  const account = fs.tree.budget.open();
  const reader = fs.tree.cursor();
  const close = async () => {
    account.close();
    await reader.close();
  };
  try {
    const scan = () => scanTree(reader, { isExcluded, account, top });
    const isDirectory = top.type === "directory";
    const nodes = isDirectory ? (await fs.tree.budget.read(account, scan)).nodes : new NodeTable(top);
    let estimate = END_OF_TAR.length + estimateOf(top);
    for (const row of nodes.rows()) {
      const turn = pause();
      if (turn !== null) await turn;
      estimate += estimateOf(nodes.at(row));
    }
    return { estimate, pieces: pack(reader, account, top, nodes), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Bytes of a node in an archive. */
function estimateOf({ type, size }: ScannedNode): number {
  return USUAL_HEADER_BYTES + (type === "file" ? size + paddingOf(size) : 0);
}

async function topOf(fs: FileSystem, path: string): Promise<ScannedNode> {
  await fs.lstat(path);
  const node = await fs.tree.stat(path);
  if (node === undefined) throw posixError("EXDEV", { syscall: "open", path });
  if (node.type === "other") throw posixError("EINVAL", { syscall: "open", path });
  return { ...node, ...placeOf(path) };
}

async function* pack(
  reader: TreeCursor,
  account: TreeAccount,
  top: ScannedNode,
  nodes: NodeTable,
): AsyncGenerator<Uint8Array> {
  const packer = new Packer(reader, account, top);
  yield* packer.pack(top);
  // Only in this order do other tars set a directory's time after they have filled it.
  for (const row of nodes.depthFirst()) {
    await pause();
    yield* packer.pack(nodes.at(row));
  }
  yield END_OF_TAR;
}

class Packer {
  readonly #reader: TreeCursor;
  readonly #account: TreeAccount;
  readonly #top: ScannedNode;
  readonly #paths: PathWriter;
  /** First archived node of each file with several hard links, by inode. */
  readonly #firstNames = new Map<number, ScannedNode>();

  constructor(reader: TreeCursor, account: TreeAccount, top: ScannedNode) {
    this.#reader = reader;
    this.#account = account;
    this.#top = top;
    this.#paths = new PathWriter(top);
  }

  /** Yields a node's entry. Leaves the node out if it was removed since the scan. */
  async *pack(node: ScannedNode): AsyncGenerator<Uint8Array> {
    const { type, mode, mtimeMs, ino, nlink } = node;
    const name = this.#nameOf(node);
    const header = { name, mode, mtimeMs };
    if (type === "directory") yield encodeHeader({ ...header, type });
    if (type === "symlink") {
      const target = await unlessGone(this.#reader.readlink(node));
      if (target !== undefined) yield encodeHeader({ ...header, type, target });
    }
    if (type !== "file") return;
    const first = nlink > 1 ? this.#firstNames.get(ino) : undefined;
    if (first !== undefined) yield encodeHeader({ ...header, type: "link", target: this.#nameOf(first) });
    else yield* this.#packFile(node, { ...header, type });
  }

  async *#packFile(node: ScannedNode, header: TarHeader): AsyncGenerator<Uint8Array> {
    const file = await unlessGone(this.#reader.open(node, node.ino));
    if (file === undefined) return;
    try {
      const { size, mode, mtimeMs } = file.stat();
      if (size > Number.MAX_SAFE_INTEGER)
        throw posixError("EFBIG", { syscall: "read", path: this.#nameOf(node).slice(1) });
      const parts = await partsOf(file, size, this.#account);
      if (node.nlink > 1) {
        this.#account.charge(FIRST_NAME_BYTES + 2 * node.name.length);
        this.#firstNames.set(node.ino, node);
      }
      if (parts === undefined) {
        yield encodeHeader({ ...header, size, mode, mtimeMs });
        yield* readPart(file, { start: 0, end: size });
        yield new Uint8Array(paddingOf(size));
        return;
      }
      const map = encodeMap(parts, size);
      const bytes = parts.reduce((sum, { start, end }) => sum + end - start, map.length);
      const pax = sparseRecords(header.name, size);
      yield encodeHeader({ ...header, name: SPARSE_ENTRY, size: bytes, mode, mtimeMs, pax });
      yield map;
      for (const part of parts) yield* readPart(file, part);
      yield new Uint8Array(paddingOf(bytes));
    } finally {
      await file.close();
    }
  }

  #nameOf(node: ScannedNode): string {
    if (this.#top.type !== "directory") return `./${this.#top.name}`;
    const path = this.#paths.pathOf(node);
    return node.type === "directory" && node !== this.#top ? `.${path}/` : `.${path}`;
  }
}

async function* readPart(file: TreeFile, { start, end }: DataPart): AsyncGenerator<Uint8Array> {
  for (let offset = start; offset < end; ) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, end - offset));
    // Pad a file that was truncated meanwhile with zeros, because the header already has its size.
    const count = (await file.read(piece, offset)) || piece.length;
    yield piece.subarray(0, count);
    offset += count;
  }
}

/** Error codes of a path that was removed or replaced since the scan. */
const GONE = ["ENOENT", "ENOTDIR", "EINVAL", "ELOOP"];

async function unlessGone<Found>(finding: Promise<Found>): Promise<Found | undefined> {
  try {
    return await finding;
  } catch (error) {
    if (GONE.includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}
