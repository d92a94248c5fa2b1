/**
 * The interface `Experimental_SandboxSession` of `@ai-sdk/provider-utils`, in types of this package. An object of one is an
 * object of the other.
 *
 * @module
 */

/** Options with a signal that cancels the operation. */
export interface AbortOption {
  /** Cancels the operation. @default none */
  abortSignal?: AbortSignal;
}

/** Options of an operation on one path. */
export interface PathOptions extends AbortOption {
  /** Absolute path, or a path below the session's base directory. */
  path: string;
}

/** Options of `readTextFile`. */
export interface ReadTextOptions extends PathOptions {
  /** Encoding of the file, as TextDecoder names it. @default "utf-8" */
  encoding?: string;
  /** First line, counted from 1. @default 1 */
  startLine?: number;
  /** Last line, counted from 1 and included. @default the last line of the file */
  endLine?: number;
}

/** Options of the methods that write a file. */
export interface WriteOptions<Content> extends PathOptions {
  /** New content of the file. */
  content: Content;
}

/** Options of `writeTextFile`. */
export interface WriteTextOptions extends WriteOptions<string> {
  /** Encoding of the file: `utf-8`, `utf-16le`, `latin1` or `ascii`. @default "utf-8" */
  encoding?: string;
}

/** Options of `run` and `spawn`. */
export interface SandboxCommandOptions extends AbortOption {
  /** Line for bash. An abort kills everything that it has started. */
  command: string;
  /** Working directory, absolute or below the base directory. @default the base directory */
  workingDirectory?: string;
  /** Variables, merged over the VM's base environment. @default {} */
  env?: Record<string, string>;
}

/** Options of `spawn`. */
export interface SandboxSpawnOptions extends SandboxCommandOptions {
  /** `true` opens the command's stdin. @default false */
  stdin?: boolean;
}

/** How a command ended. */
export interface SandboxExit {
  /** Exit code; 128 + n when signal n ended the command. */
  exitCode: number;
}

/** Result of `run`. */
export interface SandboxResult extends SandboxExit {
  /** Captured stdout, decoded as UTF-8. */
  stdout: string;
  /** Captured stderr, decoded as UTF-8. */
  stderr: string;
}

/** Kind and size of a path. */
export interface SandboxStat {
  /** Kind of the path behind all links. `other` stands for sockets, FIFOs and devices. */
  type: "file" | "directory" | "other";
  /** Size in bytes. */
  size: number;
}

/** An entry of a directory. */
export interface SandboxEntry {
  /** Name without the directory. */
  name: string;
  /** Kind of the entry itself. `other` stands for sockets, FIFOs and devices. */
  type: "file" | "directory" | "symlink" | "other";
}

/** A command that `spawn` has started. */
export interface SandboxProcess {
  /** Process id inside the VM. */
  readonly pid?: number;
  /** Bytes that the command writes to stdout. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** Bytes that the command writes to stderr. */
  readonly stderr: ReadableStream<Uint8Array>;
  /** Waits for the end. Rejects with the reason of an abort. */
  wait(): Promise<SandboxExit>;
  /** Kills everything that the command has started. A second call does nothing. */
  kill(): Promise<void>;
}

/** A command whose stdin is open. */
export interface WritableSandboxProcess extends SandboxProcess {
  /** Bytes for the command's stdin. Closing the stream ends the input and not the command. */
  readonly stdin: WritableStream<Uint8Array>;
}

/** Starts commands. */
export interface SandboxSpawn {
  (options: SandboxCommandOptions & { stdin: true }): Promise<WritableSandboxProcess>;
  (options: SandboxCommandOptions & { stdin?: false }): Promise<SandboxProcess>;
  (options: SandboxSpawnOptions): Promise<SandboxProcess | WritableSandboxProcess>;
}

/** A VM as the AI SDK's sandbox interface. Each method resolves relative paths against one base directory. */
export interface SandboxSession {
  /** Text about the VM for an agent's instructions. */
  readonly description: string;
  /** Reads a file as a stream; `null` if it does not exist. */
  readonly readFile: (options: PathOptions) => Promise<ReadableStream<Uint8Array> | null>;
  /** Reads a file as bytes; `null` if it does not exist. */
  readonly readBinaryFile: (options: PathOptions) => Promise<Uint8Array | null>;
  /** Reads a file, or lines of it, as text; `null` if it does not exist. */
  readonly readTextFile: (options: ReadTextOptions) => Promise<string | null>;
  /** Writes a file from a stream. The file changes when the stream has ended, and only if it ended without an error. */
  readonly writeFile: (options: WriteOptions<ReadableStream<Uint8Array>>) => Promise<void>;
  /** Writes a file from bytes, and makes missing parents. */
  readonly writeBinaryFile: (options: WriteOptions<Uint8Array>) => Promise<void>;
  /** Writes a file from text, and makes missing parents. */
  readonly writeTextFile: (options: WriteTextOptions) => Promise<void>;
  /** Describes a path and follows links; `null` if it does not exist. */
  readonly stat: (options: PathOptions) => Promise<SandboxStat | null>;
  /** Lists a directory, without what is below its directories; `null` if it does not exist. */
  readonly listDirectory: (options: PathOptions) => Promise<SandboxEntry[] | null>;
  /** Deletes a file or a link. Resolves with `false` if it does not exist, and rejects for a directory. */
  readonly deleteFile: (options: PathOptions) => Promise<boolean>;
  /** Starts a command, with its output as streams. */
  readonly spawn: SandboxSpawn;
  /** Runs a command to its end. */
  readonly run: (options: SandboxCommandOptions) => Promise<SandboxResult>;
}
