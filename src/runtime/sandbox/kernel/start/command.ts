import type { ResourceUsage, SpawnRequest } from "../../sandbox.ts";
import type { Tags } from "../tag.ts";
import type { Tools } from "../tools.ts";
import type { PipeReader } from "./pipe-reader.ts";
import type { StdinWriter } from "./stdin-writer.ts";

/** What it takes to enter a VM. */
export interface Entry {
  initPid: number;
  tags: Tags;
  owner: { uid: number; gid: number } | null;
  tools: Tools;
  /** Processes up to which a command may fork. */
  processes: number;
  /** Open descriptors that a command may have. */
  openFiles: number;
  /** Files of the VM's cgroup, where it has one: whoever writes "0" to them is in it. */
  cgroupProcs: readonly string[];
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
  /** Kills the command and everything that descends from it. */
  killTree(): Promise<void>;
  /** The VM has ended: makes sure that nothing on the host still waits for the command. */
  release(): void;
}

/** A way of starting commands in a VM. */
export interface CommandStarter {
  /** Resolves when the command is about to run; rejects with a CwdError where it could not change to its directory. */
  start(request: SpawnRequest): Promise<StartedCommand>;
  /** Host pids of processes whose children commands are. */
  readonly hostPids: readonly number[];
  /** Ends what waits for commands to start. */
  close(): Promise<void>;
}

/** The command's working directory cannot be entered. */
export class CwdError extends Error {
  readonly cwd: string;

  constructor(cwd: string) {
    super(`cannot change to ${cwd}`);
    this.cwd = cwd;
  }
}

/** Whatever was to start the command ended before the command began; it may be tried again. */
export class StarterLost extends Error {}
