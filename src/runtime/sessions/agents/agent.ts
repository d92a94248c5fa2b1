import type { Env } from "../../../api/values.ts";

/** A file that the server writes into the VM before an agent starts. */
export interface AgentFile {
  path: string;
  content: string;
  /** Whether the file gets mode 0755. @default false */
  executable?: boolean;
}

/** Command, environment and files that start an agent inside a VM. */
interface AgentLaunch {
  command: string;
  args: string[];
  /** The agent's whole environment. */
  env: Env;
  /** Files to write if they do not exist. An existing file belongs to the user and stays. */
  files: AgentFile[];
}

export interface LaunchRequest {
  /** Environment of the session's commands: HOME and the proxy's variables, overridden by the user's variables. */
  env: Env;
  /** Instructions to put beside the prompts, for agents with `instructions: "native"`. */
  instructions: string | undefined;
}

/** The installed packages of an agent, by their paths inside the VM. */
export interface Installation {
  /** Path inside the VM of a file below `node_modules`; `undefined` if the host does not have the file. */
  file(path: string): string | undefined;
  /** Path inside the VM of a package's program, from `bin` in its package.json. */
  program(packageName: string, program: string): string;
}

interface AgentPackage {
  name: string;
  /** The tested version. */
  version: string;
}

/** Properties of an agent that sessions use. */
export interface AgentTraits {
  /** The `agentType` of createSession. */
  name: string;
  title: string;
  /** `native`: the agent gets instructions by `launch` or `sessionMeta`. `preamble`: the first prompt carries them. */
  instructions: "native" | "preamble";
  /**
   * Whether the server offers the agent to read and write files through ACP. Every agent can also open the VM's files
   * itself; `false` for agents that work better that way. @default true
   */
  clientFiles?: boolean;
  /** Whether the agent uses the MCP servers of a session. @default true */
  mcpServers?: boolean;
  /** Method id for `authenticate` after `initialize`; `undefined` sends no `authenticate`. */
  authMethod?(env: Env): string | undefined;
  /** `_meta` of session/new. */
  sessionMeta?(instructions: string): Record<string, unknown>;
}

/** A built-in agent. */
export interface AgentDefinition extends AgentTraits {
  /** npm packages of the agent. The version of the first package is the agent's version. */
  packages: readonly [AgentPackage, ...AgentPackage[]];
  /** Native programs, of which at least one must exist. npm omits them with `--omit=optional`. */
  needsOneOf?(): readonly string[];
  launch(installation: Installation, request: LaunchRequest): AgentLaunch;
}

/** An installed agent, ready to start. */
export interface Agent extends AgentTraits {
  launch(request: LaunchRequest): AgentLaunch;
}
