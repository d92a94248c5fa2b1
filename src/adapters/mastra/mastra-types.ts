/**
 * The interfaces of `@mastra/core/workspace`, in types of this package.
 *
 * @module
 */

/** State of a sandbox or a file system. */
export type ProviderStatus =
  | "pending"
  | "initializing"
  | "ready"
  | "starting"
  | "running"
  | "stopping"
  | "stopped"
  | "destroying"
  | "destroyed"
  | "error";

/** A class of errors about a path. */
export type PathErrorClass = new (path: string) => Error;

/** A class of errors about an operation on a path. */
export type OperationErrorClass = new (path: string, operation: string) => Error;

/** A class of errors about a file of another time. */
export type StaleErrorClass = new (path: string, expected: Date, actual: Date) => Error;

/** A base class, of which Mastra's own options are not known here. */
export type BaseClass<Instance extends object> = abstract new (options: never) => Instance;

/** A base class that needs no options. */
export type OptionalBaseClass = abstract new (options?: never) => object;

/** Classes of `@mastra/core/workspace` for the errors of files. */
export interface MastraErrors {
  /** A file does not exist. */
  FileNotFoundError: PathErrorClass;
  /** A directory does not exist. */
  DirectoryNotFoundError: PathErrorClass;
  /** A file exists already. */
  FileExistsError: PathErrorClass;
  /** A directory stands where a file is expected. */
  IsDirectoryError: PathErrorClass;
  /** A file stands where a directory is expected. */
  NotDirectoryError: PathErrorClass;
  /** A directory has entries. */
  DirectoryNotEmptyError: PathErrorClass;
  /** The VM's user may not do it. */
  PermissionError: OperationErrorClass;
  /** A file has changed since it was read. */
  StaleFileError: StaleErrorClass;
}

/** Classes of `@mastra/core/workspace` for sandboxes. */
export interface MastraClasses<Sandbox extends object> {
  /** Base of sandboxes. */
  MastraSandbox: BaseClass<Sandbox>;
  /** Base of the processes of a sandbox. */
  SandboxProcessManager: OptionalBaseClass;
  /** Base of one process. */
  ProcessHandle: OptionalBaseClass;
}

/** Options of a command. */
export interface CommandOptions {
  /** Milliseconds after which the command is killed. @default no timeout */
  timeout?: number;
  /** Variables. @default {} */
  env?: Record<string, string | undefined>;
  /** Working directory. @default the sandbox's */
  cwd?: string;
  /** Gets text of stdout. @default not called */
  onStdout?: (data: string) => void;
  /** Gets text of stderr. @default not called */
  onStderr?: (data: string) => void;
  /** Bytes of each stream that a handle keeps. @default 1 MiB */
  maxRetainedBytes?: number;
  /** `ignore`: stdin is empty. @default "pipe" */
  stdinMode?: "pipe" | "ignore";
}

/** How a command ended. */
export interface CommandResult {
  /** `true` for exit code 0. */
  success: boolean;
  /** Exit code; 128 + n when signal n ended the command. */
  exitCode: number;
  /** Kept stdout. */
  stdout: string;
  /** Kept stderr. */
  stderr: string;
  /** Milliseconds from start to end. */
  executionTimeMs: number;
  /** Whether the timeout ended the command. */
  timedOut?: boolean;
  /** Whether a signal of this sandbox ended the command. */
  killed?: boolean;
}

/** Metadata of a file or directory. */
export interface MastraStat {
  /** Name without the directory. */
  name: string;
  /** Absolute path. */
  path: string;
  /** Kind; links are followed. */
  type: "file" | "directory";
  /** Size in bytes; 0 for a directory. */
  size: number;
  /** Time of creation. */
  createdAt: Date;
  /** Time of the last change. */
  modifiedAt: Date;
}

/** An entry of a directory. */
export interface MastraEntry {
  /** Name; for a recursive list the path relative to the directory. */
  name: string;
  /** Kind; a link is a file. */
  type: "file" | "directory";
  /** Size in bytes; absent for a directory. */
  size?: number;
  /** Whether the entry is a symbolic link. */
  isSymlink?: boolean;
}

/** An entry of a tree. */
export interface MastraWalkEntry extends MastraEntry {
  /** Path relative to the root of the tree. */
  path: string;
}

/** Options of a list. */
export interface MastraListOptions {
  /** Also entries of subdirectories. @default false */
  recursive?: boolean;
  /** Only files with one of these extensions. @default all */
  extension?: string | string[];
  /** Levels of a recursive list. @default no limit */
  maxDepth?: number;
}

/** Options of a removal. */
export interface MastraRemoveOptions {
  /** Also a directory that has entries. @default false */
  recursive?: boolean;
  /** A missing path does not count as an error. @default false */
  force?: boolean;
}
