import type { TreeBudget } from "./tree-budget.ts";

/** An entry of a directory for checkpoints, as lstat(2) describes it. */
export interface TreeNode {
  name: string;
  /** `other`: a socket, FIFO or device. */
  type: "file" | "directory" | "symlink" | "other";
  /** Permission bits, 0 to 0o7777. */
  mode: number;
  size: number;
  /** Milliseconds since the Unix epoch, with fractions. */
  mtimeMs: number;
  ctimeMs: number;
  ino: number;
  nlink: number;
}

/** Permission bits of a mode. */
export const MODE_BITS = 0o7777;

/** Describes a file by the result of lstat(2). */
export function treeNode(
  name: string,
  type: TreeNode["type"],
  { mode, size, mtimeMs, ctimeMs, ino, nlink }: Omit<TreeNode, "name" | "type">,
): TreeNode {
  return { name, type, mode: mode & MODE_BITS, size, mtimeMs, ctimeMs, ino, nlink };
}

/** A name in a directory of the tree. Whole paths would make the memory for a deep tree quadratic. */
export interface TreePlace {
  /** `null` for the root. */
  readonly parent: TreePlace | null;
  /** `""` for the root. */
  readonly name: string;
  /** Number of names in the path. */
  readonly depth: number;
  /** Inode of the entry. @default any */
  readonly ino?: number;
}

/** Metadata that a restored file or directory gets. */
export interface NodeMetadata {
  mode: number;
  mtimeMs: number;
}

/** An extended attribute, whose name starts with `user.`. */
export interface Attribute {
  name: string;
  value: Uint8Array;
}

/** Attributes of a file. `"gone"`: its path no longer names this file. `"unreadable"`: reading them failed. */
export type AttributesFound = Attribute[] | "gone" | "unreadable";

/** Places of inodes, in the order of the tree. They are iterated once. */
export type Inodes = Iterable<TreePlace & { ino: number }> & { readonly length: number };

/** A part of a file that has data: a hole reads as zeros and takes no space. */
export interface DataPart {
  start: number;
  end: number;
}

/** The length of a hole in the content of a file that is made. */
export interface Hole {
  hole: number;
}

/** Content of a file in pieces. */
export type TreeContent = AsyncIterable<Uint8Array | Hole> | Iterable<Uint8Array | Hole>;

/** An open file of the tree. `close` may be called twice. */
export interface TreeFile {
  /** Describes the file as it is now. */
  stat(): TreeNode;
  /** Fills a target from `offset`. @returns the bytes read: fewer than the target's length only at the file's end */
  read(target: Uint8Array, offset: number): Promise<number>;
  /**
   * Lists parts with data from an offset on, in order. A hole lies between two parts. An empty list: only a hole follows.
   *
   * @throws AgentVmError `EFBIG` for a large sparse file on a host that cannot find holes
   */
  parts(from: number): Promise<DataPart[]>;
  close(): Promise<void>;
}

/**
 * Reads and makes a tree by its places. Holds one directory open and walks from it to the next one, so the time of a whole tree is
 * linear in its order, at any depth. Callers run one method at a time, and close the cursor.
 */
export interface TreeCursor {
  /** Visits the entries of a directory without temporary files and mount points, in any order. */
  visit(directory: TreePlace, each: (node: TreeNode) => void): Promise<void>;
  /** @returns `undefined` if nothing has this name */
  stat(place: TreePlace): Promise<TreeNode | undefined>;
  readlink(place: TreePlace): Promise<string>;
  /** @returns `undefined` if the name no longer belongs to the regular file with this inode */
  open(place: TreePlace, ino: number): Promise<TreeFile | undefined>;

  /** Makes a directory, or keeps an existing one. */
  makeDirectory(place: TreePlace, mode: number): Promise<void>;
  /** Makes a file and resolves when its content is complete. EEXIST if the place exists. */
  makeFile(place: TreePlace, metadata: NodeMetadata, content: TreeContent): Promise<TreeNode>;
  makeSymlink(place: TreePlace, target: string): Promise<void>;
  /** Adds another name to a file. */
  makeLink(existing: TreePlace, place: TreePlace): Promise<void>;
  setMetadata(place: TreePlace, metadata: NodeMetadata): Promise<void>;
  /** Gives an entry another name in its directory. Replaces an entry that has the name. */
  rename(place: TreePlace, name: string): Promise<void>;
  /** Removes an entry and everything below it. EBUSY for the root and for a mount point. */
  remove(place: TreePlace): Promise<void>;
  close(): Promise<void>;
}

/**
 * A VM's own files, for checkpoints and restores: everything on the device of the VM's root, without the mounts. Links
 * are not followed, and file permissions are not checked. Paths are absolute and normalized. Methods throw the errors
 * of FileSystem.
 */
export interface PersistentTree {
  /** Memory for readings of this tree. */
  readonly budget: TreeBudget;
  cursor(): TreeCursor;
  /** Lists a directory without temporary files and mount points. */
  list(path: string): Promise<TreeNode[]>;
  /** @returns `undefined` if nothing has this path */
  stat(path: string): Promise<TreeNode | undefined>;
  readlink(path: string): Promise<string>;

  /** Makes a directory, or keeps an existing one. */
  makeDirectory(path: string, mode: number): Promise<void>;
  /** Makes a file and resolves when its content is complete. EEXIST if the path exists. */
  makeFile(path: string, metadata: NodeMetadata, content: TreeContent): Promise<TreeNode>;
  makeSymlink(path: string, target: string): Promise<void>;
  /** Adds another name to a file. */
  makeLink(existing: string, path: string): Promise<void>;
  setMetadata(path: string, metadata: NodeMetadata): Promise<void>;

  /** Reads extended attributes, in the order of `places`. Every list is empty if the host cannot read them. */
  attributes(places: Inodes): AsyncIterable<AttributesFound>;
  /**
   * Replaces all extended attributes of files and directories, which changes their ctime. Does nothing if the host
   * cannot set them.
   */
  setAttributes(nodes: readonly { place: TreePlace; attributes: readonly Attribute[] }[]): Promise<void>;
}
