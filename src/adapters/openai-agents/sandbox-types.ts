/**
 * Shapes of the SDK's sandboxes, in types of this package.
 *
 * @module
 */

/** An entry of a manifest. */
export interface ManifestEntry {
  /** `dir`, `file`, `local_file`, `local_dir`, `git_repo`, or a mount, which a VM refuses. */
  type: string;
  /** Permissions of the path. @default a new file has 0644, a new directory 0755 */
  permissions?: unknown;
}

/** First content of a workspace: the part of the SDK's `Manifest` that the adapter uses. */
export interface ManifestLike {
  /** Directory of the workspace, `/workspace` by default. */
  readonly root: string;
  /** Entries by path below the root. */
  readonly entries: Record<string, ManifestEntry>;
  /** Users of the sandbox. A VM has one, and refuses others. */
  readonly users: readonly unknown[];
  /** Groups of the sandbox. A VM refuses them. */
  readonly groups: readonly unknown[];
  /** Returns the variables of every command. */
  resolveEnvironment(): Promise<Record<string, string>>;
  /** Paths below the root that no archive keeps. */
  ephemeralPersistencePaths(): Set<string>;
}

/** State of a session. The SDK keeps it with a run, and a later process resumes from it. */
export interface VmSandboxState<Manifest> {
  /** Manifest that the workspace was made from. */
  manifest: Manifest;
  /** Key of the VM. */
  key: string[];
  /** Variables of every command. They are not stored. */
  environment?: Record<string, string>;
  /** Preview of each exposed port. */
  exposedPorts?: Record<string, ExposedPort>;
  [name: string]: unknown;
}

/** Address of a port. */
export interface ExposedPort {
  /** Host of the preview. */
  host: string;
  /** Port of the server. */
  port: number;
  /** Whether the server speaks TLS. */
  tls: boolean;
  /** Whole URL of the preview. */
  url: string;
  [name: string]: unknown;
}

/** A command line. */
export interface ExecArgs {
  /** Line for the shell. */
  cmd: string;
  /** Working directory, absolute or below the workspace. @default the workspace */
  workdir?: string;
  /** Program that reads the line. @default "bash" */
  shell?: string;
  /** Whether the shell is a login shell. @default true */
  login?: boolean;
  /** Whether the command gets a terminal. @default false */
  tty?: boolean;
  /** Milliseconds after which the answer comes and the command goes on. @default 10,000 */
  yieldTimeMs?: number;
  /** Tokens of output that the answer has at most. @default all output that is kept */
  maxOutputTokens?: number;
  /** User of the command. A VM has one user and refuses another. */
  runAs?: string;
}

/** Outcome of a command, or its output so far. */
export interface ExecOutcome {
  /** Output of both streams in the order in which it came. */
  output: string;
  /** Output of stdout; all output of a terminal. */
  stdout: string;
  /** Output of stderr. */
  stderr: string;
  /** Seconds since the call. */
  wallTimeSeconds: number;
  /** Exit code, if the command has ended. */
  exitCode?: number;
  /** Number for `writeStdin`, if the command goes on. */
  sessionId?: number;
  /** Tokens of the output before it was cut, if it was. */
  originalTokenCount?: number;
}

/** Input for a command that goes on. */
export interface WriteStdinArgs {
  /** Number of the command. */
  sessionId: number;
  /** Text for its stdin; `\u0003` interrupts it. @default "", which only reads output */
  chars?: string;
  /** Milliseconds after which the answer comes. @default 250 */
  yieldTimeMs?: number;
  /** Tokens of output that the answer has at most. @default all output that is kept */
  maxOutputTokens?: number;
}

/** A directory entry. */
export interface SandboxEntry {
  /** Name without the directory. */
  name: string;
  /** Path below the workspace, or absolute outside of it. */
  path: string;
  /** Kind of the entry. */
  type: "file" | "dir" | "other";
}

/** A change of a file by a patch of the model. */
export interface PatchOperation {
  /** Path below the workspace. */
  path: string;
  /** Diff in the V4A format. */
  diff?: string;
  /** New path of an updated file. @default it keeps its path */
  moveTo?: string;
}

/** Applies patches to files. */
export interface VmEditor {
  /** Makes a file. */
  createFile(operation: PatchOperation & { diff: string }): Promise<void>;
  /** Changes a file. */
  updateFile(operation: PatchOperation & { diff: string }): Promise<void>;
  /** Deletes a file. */
  deleteFile(operation: PatchOperation): Promise<void>;
}
