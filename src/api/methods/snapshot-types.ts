import type { EntryType } from "./files.ts";

/** Contents of a checkpoint. */
export interface CheckpointResult {
  /** Number of files, directories and links. */
  files: number;
  /** Bytes of all files together. */
  bytes: number;
  /** Number of sockets, FIFOs and devices, which a checkpoint does not keep. */
  skipped: number;
  /** Paths whose content or extended attributes the server could not read, at most 100. */
  unreadable: string[];
}

/** Options of `restore`. */
export interface RestoreOptions {
  /** Boots without the files whose stored content is missing or corrupt. @default false */
  allowMissing?: boolean;
}

/** A named checkpoint. */
export interface SnapshotInfo {
  /** Id of the snapshot. */
  id: string;
  /** Name given to `createSnapshot`; `null` without one. */
  name: string | null;
  /** Time of creation, in milliseconds since the Unix epoch. */
  createdAt: number;
  /** Number of files, directories and links. */
  files: number;
  /** Bytes of all files together. */
  bytes: number;
}

/** Difference of one path. */
export interface FileChange {
  /** Absolute path. */
  path: string;
  /** Kind of the change. `mode`: only permissions, owner or attributes differ. */
  change: "added" | "modified" | "deleted" | "mode";
  /** Kind of the entry. */
  type: EntryType;
  /** Bytes of a file as it is now, or was before it was deleted; 0 for directories and links. */
  size: number;
}

/** Options of `readSnapshotFile`. */
export interface ReadSnapshotFileOptions {
  /** First byte to read. @default 0 */
  offset?: number;
  /** Bytes to read, at most 4 MiB. @default 4 MiB */
  length?: number;
}

/** A file of a snapshot, whole or in part. */
export interface SnapshotFile {
  /** Kind of the entry. */
  type: "file" | "symlink";
  /** Bytes of the whole file. */
  size: number;
  /** Permission bits, as in stat(2). */
  mode: number;
  /** Time of the last change of the content, in milliseconds since the Unix epoch. */
  mtimeMs: number;
  /** The bytes from `offset` on: as many as asked for, or up to the end of the file. The target of a link. */
  content: Uint8Array;
}

/** Result of one path of `undo`. */
export interface UndoResult {
  /** Path as given. */
  path: string;
  /** Number of files, directories and links put back; 0 when the path did not exist in the snapshot. */
  restored: number;
  /** Why the path was not put back, or only in part. */
  error?: string;
}

/** An entry of a `RootSnapshotExport`. */
export interface SnapshotEntry {
  /** Absolute path. */
  path: string;
  /** Kind of the entry. */
  type: EntryType;
  /** Octal permission bits, such as `"0755"`. */
  mode: string;
  /** User id of the owner, as the VM sees it. */
  uid: number;
  /** Group id of the owner, as the VM sees it. */
  gid: number;
  /** Content of a file, encoded as `encoding` says. */
  content?: string;
  /** Encoding of `content`. @default "utf8" */
  encoding?: "utf8" | "base64";
  /** Target of a symbolic link. */
  target?: string;
}

/** A VM's own files in agentOS's snapshot format. */
export interface RootSnapshotExport {
  /** Kind of the value. */
  kind: "snapshot-export";
  /** The exported files. */
  source: {
    /** Name of the format. */
    format: "agent-os-filesystem-snapshot-v1";
    /** The file system. */
    filesystem: {
      /** Entries, parents before children. */
      entries: SnapshotEntry[];
    };
  };
}

/** Contents of an imported archive. */
export interface ArchiveImport {
  /** Number of files, directories and links. */
  files: number;
  /** Bytes of all files together. */
  bytes: number;
  /** Number of devices and FIFOs, which are not imported. */
  skipped: number;
}

/** Options of `fork`. */
export interface ForkOptions {
  /** Gives the new VM the secrets that `setSecrets` has set in this VM. @default false */
  secrets?: boolean;
  /** Id of a snapshot of this VM, whose files the new VM gets. @default the files as they are now */
  snapshot?: string;
}

/** Address of a new VM in its server. */
export interface ForkedVm {
  /** Key for `getOrCreate` and `get`. */
  key: string[];
  /** Actor id for `getForId`. */
  actorId: string;
}
