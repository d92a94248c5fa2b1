import type { ByteShare } from "../../../../base/byte-share.ts";
import type { Owner } from "../../own-uids.ts";
import type { ProgramCall, ProgramOptions, ResourceUsage } from "../../processes.ts";
import type { Tags } from "../procfs/slack-tag.ts";
import type { Tools } from "../tools.ts";
import type { OutputShare } from "./output-share.ts";
import type { PipeReader } from "./pipe-reader.ts";
import type { StdinWriter } from "./stdin-writer.ts";

/** A program to start. Shell lines have become calls of the shell by now. */
export interface ProgramRequest extends ProgramCall, ProgramOptions {
  /** `false`: stdin is empty from the start. */
  stdin: boolean;
}

/** The settings with which a process enters a VM. */
export interface Entry {
  initPid: number;
  tags: Tags;
  owner: Owner | null;
  tools: Tools;
  /** Processes up to which a command may fork. */
  processes: number;
  /** Open descriptors that a command may have. */
  openFiles: number;
  /** Seccomp filter in hexadecimal digits; `""` for none. */
  filter: string;
  /** Text of the spawner's program; `""` for a fork. */
  spawner: string;
  /** Files of the VM's cgroup, if it has one. A process that writes "0" to them joins it. */
  cgroupProcs: readonly string[];
  /** The server's time for the VM's output. */
  output: OutputShare;
  /** The server's memory for input that the VM's terminals have not taken. */
  terminalInput: ByteShare;
  /** Aborted when the VM has been told to end. */
  ending: AbortSignal;
}

/** How a command ended, and what it used. */
export interface CommandEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  usage: ResourceUsage;
}

/** A command that runs inside, and the server's ends of its stdio. */
export interface StartedCommand {
  /** As the VM sees it. */
  readonly pid: number;
  readonly stdin: StdinWriter;
  readonly stdout: PipeReader;
  readonly stderr: PipeReader;
  readonly ended: Promise<CommandEnd>;
  /** Signals the command itself; nothing once it has ended. */
  signal(signal: number): void;
  /** Lists the host pids of the command and of everything that descends from it. */
  tree(): number[];
  /** Host pid of the command; `undefined` once it has ended. */
  hostPid(): number | undefined;
  /** Kills the command and everything that descends from it. */
  killTree(): Promise<void>;
}
