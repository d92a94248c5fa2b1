import { z } from "zod";
import {
  args,
  type Bytes,
  bool,
  bytes,
  cells,
  clientOnly,
  cwd,
  type Env,
  env,
  id,
  options,
  program,
} from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";
import type { ReadOutputOptions } from "./process-types.ts";
import { readOptions } from "./processes.ts";

const method = methodsOf("shells");

/** Options of `openShell`. */
export interface OpenShellOptions {
  /** Name or path of the program. @default "bash", or "sh" when the VM has no bash */
  command?: string;
  /** Arguments of the program. @default ["-i"] for the default command, otherwise [] */
  args?: string[];
  /** Variables, merged over the VM's base environment. @default {} */
  env?: Env;
  /** Working directory, an absolute path. @default "/home/agentos" */
  cwd?: string;
  /** Columns of the terminal, from 1 to 4,096. @default 80 */
  cols?: number;
  /** Rows of the terminal, from 1 to 4,096. @default 24 */
  rows?: number;
  /** `true` records the output, for `readRecording`. Input is not recorded. @default false */
  record?: boolean;
}

/** Options of `connectTerminal` and of the client's `terminal()`. */
export interface ConnectTerminalOptions extends OpenShellOptions {
  /**
   * Called with the terminal's output. Works in this package's client only: a function cannot cross the wire.
   * @default the output is not delivered
   */
  onData?: (data: Uint8Array) => void;
}

/** Result of `openShell`. */
export interface OpenedShell {
  /** Id of the shell, such as `shell-3f9c02d81b7e`. It is random, and never names another shell. */
  shellId: string;
  /** Process id inside the VM. */
  pid: number;
}

/** A shell of the VM. */
export interface ShellInfo extends OpenedShell {
  /** Program that runs in the terminal. */
  command: string;
  /** Arguments of the program. */
  args: string[];
  /** Columns of the terminal. */
  cols: number;
  /** Rows of the terminal. */
  rows: number;
  /** `true` until the program has ended. */
  running: boolean;
  /** Exit code; 128 + n when signal n ended the program; `null` while it runs. */
  exitCode: number | null;
  /** `true` while the foreground of the terminal waits for input: a prompt, a question, an editor. */
  waitingForInput: boolean;
}

/** A piece of a shell's output. */
export interface ShellChunk {
  /** Bytes as the terminal sent them. */
  data: Uint8Array;
  /** Number of the chunk: counts the chunks of one shell from 0. */
  seq: number;
}

/** Scrollback of a shell. */
export interface ShellOutput {
  /** Chunks, oldest first. The VM keeps the newest 256 KiB of each shell. */
  chunks: ShellChunk[];
  /** `true` when chunks after `after` are no longer kept. */
  truncated: boolean;
  /** `true` until the shell has ended. */
  running: boolean;
  /** Exit code; `null` while the shell runs. */
  exitCode: number | null;
}

/** Part of a terminal: nothing, the screen, or also the lines above it. */
export type SnapshotMode = "none" | "screen" | "scrollback";

/** The screen of a shell's terminal. */
export interface ShellSnapshot {
  /** Id of the shell. */
  shellId: string;
  /** Part of the terminal that `data` draws. */
  mode: SnapshotMode;
  /** Number of the last chunk of output that the snapshot contains; -1 before the first. Later `shellData` continues it. */
  seq: number;
  /** Columns of the terminal. */
  cols: number;
  /** Rows of the terminal. */
  rows: number;
  /** Bytes that draw the terminal on an empty one of this size: text, colours, modes, alternate screen and cursor. */
  data: Uint8Array;
  /** `true` if the VM no longer has all output since the shell opened, so that something old may be missing. */
  truncated: boolean;
}

const shellOptions = {
  command: program.optional(),
  args: args.optional(),
  env: env.optional(),
  cwd: cwd.optional(),
  cols: cells.optional(),
  rows: cells.optional(),
  record: bool.optional(),
};

/** Interactive shells on a pseudo-terminal. Their ids are random. */
export const SHELL_METHODS = {
  /**
   * Opens a shell on a terminal. Its output arrives as `shellData` events, its end as `shellExit`.
   *
   * @param options program, environment, working directory and size. @default an interactive bash of 80 x 24
   * @throws AgentVmError `limit_exceeded` when 64 shells are open; `ENOENT` when the working directory is missing
   */
  openShell: method<(options?: OpenShellOptions) => Promise<OpenedShell>>()({
    right: "terminal",
    input: takes(["options", options(shellOptions).optional()]),
    boots: true,
  }),
  /**
   * Sends keystrokes to a shell. Ignored after the shell has ended.
   *
   * @param shellId id that `openShell` returned
   * @param data bytes, or a string that is encoded as UTF-8
   * @throws AgentVmError `shell_not_found`; `limit_exceeded` when 1 MiB waits to be read
   */
  writeShell: method<(shellId: string, data: Bytes) => Promise<void>>()({
    right: "terminal",
    input: takes(["shellId", id], ["data", bytes]),
  }),
  /**
   * Changes the size of a shell's terminal. The foreground program gets SIGWINCH.
   *
   * @param shellId id that `openShell` returned
   * @param cols columns, from 1 to 4,096
   * @param rows rows, from 1 to 4,096
   * @throws AgentVmError `shell_not_found`
   */
  resizeShell: method<(shellId: string, cols: number, rows: number) => Promise<void>>()({
    right: "terminal",
    input: takes(["shellId", id], ["cols", cells], ["rows", cells]),
  }),
  /**
   * Hangs up the shell's whole session. A second close does nothing.
   *
   * @param shellId id that `openShell` returned
   * @throws AgentVmError `shell_not_found`
   */
  closeShell: method<(shellId: string) => Promise<void>>()({
    right: "terminal",
    input: takes(["shellId", id]),
  }),
  /**
   * Opens a shell and returns its process id. This package's client delivers the output to `onData`, complete and in
   * order. `terminal()` of the client also writes, resizes and closes.
   *
   * @param options program, environment, working directory, size and `onData`. @default an interactive bash of 80 x 24
   * @throws AgentVmError `limit_exceeded` when 64 shells are open; `ENOENT` when the working directory is missing
   */
  connectTerminal: method<(options?: ConnectTerminalOptions) => Promise<number>>()({
    right: "terminal",
    input: takes(["options", options({ ...shellOptions, onData: clientOnly }).optional()]),
    boots: true,
  }),
  /**
   * Waits for the end of a shell. Any number of callers may wait.
   *
   * @param shellId id that `openShell` returned
   * @returns the exit code; 128 + n when signal n ended the shell
   * @throws AgentVmError `shell_not_found`
   */
  waitShell: method<(shellId: string) => Promise<number>>()({
    right: "terminal",
    input: takes(["shellId", id]),
    reads: true,
    long: true,
    signal: true,
  }),
  /** Lists the VM's shells, oldest first. Ended shells stay listed until newer ones take their place. */
  listShells: method<() => Promise<ShellInfo[]>>()({ right: "terminal", input: takes(), reads: true }),
  /**
   * Returns scrollback of a shell, such as output that a subscription missed.
   *
   * @param shellId id that `openShell` returned
   * @param options `after`: number of the last chunk that the caller has
   * @throws AgentVmError `shell_not_found`
   */
  readShell: method<(shellId: string, options?: ReadOutputOptions) => Promise<ShellOutput>>()({
    right: "terminal",
    input: takes(["shellId", id], ["options", readOptions]),
    reads: true,
  }),
  /**
   * Draws the screen of a shell's terminal, so that a client that joins sees a full-screen program as it is. Write `data` to a
   * terminal of the same size, then `shellData` with a greater `seq`.
   *
   * @param shellId id that `openShell` returned
   * @param mode `screen`; `scrollback`: also up to 1,000 lines above; `none`: only `seq` and the size. @default "screen"
   * @throws AgentVmError `shell_not_found`; `limit_exceeded` for a terminal that is too large or takes too long to draw
   */
  snapshotShell: method<(shellId: string, mode?: SnapshotMode) => Promise<ShellSnapshot>>()({
    right: "terminal",
    input: takes(["shellId", id], ["mode", z.enum(["none", "screen", "scrollback"]).optional()]),
    reads: true,
  }),
};

export type ShellMethods = CallsOf<typeof SHELL_METHODS>;
