/**
 * The interface of a provider of `eve/sandbox/provider`, in types of this package.
 *
 * @module
 */
import type { SandboxSession } from "./session-types.ts";

/** A file of an agent. */
export interface EveResourceFile {
  /** Content. */
  readonly content: string | Uint8Array;
  /** Path below the tree's target. */
  readonly relativePath: string;
}

/** Files of an agent that belong together. */
export interface EveResourceTree {
  /** The files. */
  readonly files: readonly EveResourceFile[];
  /** Changes with the files. */
  readonly key: string;
  /** Path in the sandbox; it may begin with `$HOME`. */
  readonly targetPath: string;
}

/** Context of `prepare`. */
export interface EvePrepareContext {
  /** Writes a line of eve's log. */
  readonly log?: (message: string) => void;
  /** Files of the agent. */
  readonly resources: {
    /** Skills of the agent. @default none */
    readonly skills?: EveResourceTree;
    /** Files of the workspace. @default none */
    readonly workspace?: EveResourceTree;
  };
  /** Changes with the source of the agent. */
  readonly sourceRevision: string;
}

/** Context of a session. */
export interface EveSessionContext {
  /** The session. */
  readonly session: {
    /** Id of the session. */
    readonly id: string;
  };
}

/** Key of a VM, which eve stores. */
export type EveVmKey = {
  /** Key of the VM. */
  readonly key: readonly string[];
};

/** Options of `removePath`. */
export interface RemovePathOptions {
  /** Refuses the removal once it has aborted. @default none */
  abortSignal?: AbortSignal;
  /** A missing path does not count as an error. @default false */
  force?: boolean;
  /** Absolute path, or a path below `/workspace`. */
  path: string;
  /** Also a directory that has entries. @default false */
  recursive?: boolean;
}

/** A VM as eve's sandbox. Relative paths are below `/workspace`. */
export interface EveSandbox extends SandboxSession {
  /** Returns the absolute path of a path. */
  resolvePath(path: string): string;
  /** Removes a file or directory. */
  removePath(options: RemovePathOptions): Promise<void>;
}

/** A sandbox of eve, and its life. */
export interface EveHandle {
  /** The sandbox. */
  readonly sandbox: EveSandbox;
  /** eve ends: the VM goes on, and sleeps when nobody uses it. */
  onRuntimeShutdown(): Promise<void>;
  /** Deletes the VM. */
  onSandboxDelete(): Promise<void>;
  /** Puts the VM to sleep: its processes end and its files stay. */
  onSandboxStop(): Promise<void>;
}

/** A sandbox that has started, with what leads to it later. */
export interface EveStarted {
  /** The sandbox. */
  readonly handle: EveHandle;
  /** Key of its VM. */
  readonly state: EveVmKey;
}

/** Sandboxes of one environment. */
export interface EveEnvironment<OpenOptions> {
  /** Makes the VM that the sessions are forks of, unless it is there. */
  prepare(context: EvePrepareContext): Promise<EveVmKey>;
  /** Makes the VM of a session. */
  start(
    context: EveSessionContext,
    options: Readonly<OpenOptions> | undefined,
    artifact: EveVmKey,
  ): Promise<EveStarted>;
  /** Finds the VM of a session again. @throws AgentVmError `actor_not_found` */
  resume(context: EveSessionContext, artifact: EveVmKey, state: EveVmKey): Promise<EveHandle>;
  /** Deletes the VM of a session that has ended. */
  onSessionEnd(context: EveSessionContext, artifact: EveVmKey, state: EveVmKey): Promise<void>;
}

/** Argument of eve's `defineSandboxProvider`. */
export interface EveProvider<EnvironmentOptions, OpenOptions> {
  /** Name of the provider. */
  readonly name: string;
  /** Version of the state that eve stores. */
  readonly stateProtocolVersion: number;
  /** Makes an environment. */
  environment(options?: Readonly<EnvironmentOptions>): EveEnvironment<OpenOptions>;
}
