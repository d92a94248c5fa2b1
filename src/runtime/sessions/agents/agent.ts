import type { Env } from "../../../api/types.ts";

/** A file that an agent finds at its start. */
export interface AgentFile {
  path: string;
  content: string;
  /** May be executed. @default false */
  executable?: boolean;
}

/** How an agent is started inside a VM. */
export interface AgentLaunch {
  command: string;
  args: string[];
  /** The agent's whole environment. */
  env: Env;
  /** Written before the start where they are missing; what is there already is the user's. */
  files: AgentFile[];
}

export interface LaunchRequest {
  /** The environment that a command of the session gets: HOME, the proxy's variables, and over them the user's own. */
  env: Env;
  /** What the agent shall know besides its user's words, for those that take it so. */
  instructions: string | undefined;
}

/** Where the packages of an agent are. */
export interface Installation {
  /** Path inside the VM of a file below `node_modules`; `undefined` where the host has none. */
  file(path: string): string | undefined;
  /** Path inside the VM of a package's program, as its package.json names it. */
  program(packageName: string, program: string): string;
}

export interface AgentPackage {
  name: string;
  /** The version that has been tried. */
  version: string;
}

/** What a session has to know of an agent. */
export interface AgentTraits {
  /** What createSession calls it. */
  name: string;
  title: string;
  /** `native`: by `launch` or `sessionMeta`; `preamble`: the agent knows no way, and the first prompt carries them. */
  instructions: "native" | "preamble";
  /**
   * Whether it is offered to read and write files through its client. Every agent reaches the VM's files by itself;
   * `false` for those that do so better. @default true
   */
  clientFiles?: boolean;
  /** Whether it does something with the MCP servers of a session. @default true */
  mcpServers?: boolean;
  /** Method to send `authenticate` with after `initialize`; `undefined`: none. */
  authMethod?(env: Env): string | undefined;
  /** `_meta` of session/new. */
  sessionMeta?(instructions: string): Record<string, unknown>;
}

/** An agent of a kind that is built in. */
export interface AgentDefinition extends AgentTraits {
  /** npm packages that it takes; the first one's version is the agent's. */
  packages: readonly [AgentPackage, ...AgentPackage[]];
  /** Files of which one must be there: programs for this machine, which npm leaves out under `--omit=optional`. */
  needsOneOf?(): readonly string[];
  launch(installation: Installation, request: LaunchRequest): AgentLaunch;
}

/** An agent that is there to be started. */
export interface Agent extends AgentTraits {
  launch(request: LaunchRequest): AgentLaunch;
}
