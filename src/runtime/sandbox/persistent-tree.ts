/** One entry of a directory as a checkpoint sees it, by lstat(2). */
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

/** What a restored node gets. */
export interface NodeMetadata {
  mode: number;
  mtimeMs: number;
}

/** An extended attribute, `user.*`. */
export interface Attribute {
  name: string;
  value: Uint8Array;
}

/** What a file or directory has, by name; or why that cannot be told: it is another one now, or it may not be read. */
export type AttributesFound = Attribute[] | "gone" | "unreadable";

/** An open file of the tree. `close` may be called twice. */
export interface TreeFile {
  /** As it is now. */
  stat(): TreeNode;
  /** Fills a target from `offset` on. @returns how many bytes: fewer than it holds only at the end of the file */
  read(target: Uint8Array, offset: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * A VM's own files, for keeping them and putting them back: all that lies on its root's device, and nothing of what is
 * mounted into it. Links are not followed, and no permission is asked for. Paths are absolute and normalized. Errors
 * are those of FileSystem.
 */
export interface PersistentTree {
  /** Entries of a directory, temporary files and mount points left out. */
  list(path: string): Promise<TreeNode[]>;
  /** @returns `undefined` where nothing is. */
  stat(path: string): Promise<TreeNode | undefined>;
  readlink(path: string): Promise<string>;
  /** @returns `undefined` where the path does not name the regular file of this inode any more. */
  open(path: string, ino: number): Promise<TreeFile | undefined>;

  /** Makes a directory, or takes one that is there. */
  makeDirectory(path: string, mode: number): Promise<void>;
  /** Makes a file, whole before it is answered; EEXIST where something is. */
  makeFile(
    path: string,
    metadata: NodeMetadata,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<TreeNode>;
  makeSymlink(path: string, target: string): Promise<void>;
  /** One more name of a file. */
  makeLink(existing: string, path: string): Promise<void>;
  setMetadata(path: string, metadata: NodeMetadata): Promise<void>;

  /** Extended attributes of files and directories, in the order asked for; none where the host cannot tell. */
  attributes(nodes: readonly { path: string; ino: number }[]): Promise<AttributesFound[]>;
  /** Gives files and directories these attributes and no others; nothing where the host cannot. Their ctime changes. */
  setAttributes(nodes: readonly { path: string; attributes: readonly Attribute[] }[]): Promise<void>;
}
