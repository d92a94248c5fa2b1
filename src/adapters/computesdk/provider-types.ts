/**
 * The argument of `defineProvider()` of `@computesdk/provider`, in types of this package.
 *
 * @module
 */
import type { VmHandle } from "../../client/index.ts";

/** A VM with the id that ComputeSDK knows it by. */
export interface ComputeSandbox {
  /** The VM. */
  sandbox: VmHandle;
  /** Last part of the VM's key. */
  sandboxId: string;
}

/** Options of a new sandbox that this provider knows. Others have no effect. */
export interface ComputeCreateOptions {
  /** Id of the sandbox. A sandbox that exists is taken as it is. @default a random id */
  name?: string;
  /** Id of a snapshot, whose files the sandbox gets. @default none */
  snapshotId?: string;
  /** Variables of every command, if the server allows `perVm.env`. They have no effect with `snapshotId`. @default {} */
  envs?: Record<string, string>;
  /** Cancels the creation before it begins. @default none */
  signal?: AbortSignal;
}

/** Options of a command. */
export interface ComputeCommandOptions {
  /** Working directory, absolute or below the base directory. @default the base directory */
  cwd?: string;
  /** Variables, merged over the VM's base environment. @default {} */
  env?: Record<string, string>;
  /** Milliseconds after which the command is killed. @default never */
  timeout?: number;
  /** `true` answers at once, while the command goes on. @default false */
  background?: boolean;
  /** Called with text of stdout while the command runs. @default not called */
  onStdout?: (data: string) => void;
  /** Called with text of stderr while the command runs. @default not called */
  onStderr?: (data: string) => void;
}

/** Result of a command. */
export interface ComputeCommandResult {
  /** Captured stdout. */
  stdout: string;
  /** Captured stderr. */
  stderr: string;
  /** Exit code; 128 + n when signal n ended the command. */
  exitCode: number;
  /** Wall-clock milliseconds. */
  durationMs: number;
}

/** A snapshot: the files of a sandbox at one time. */
export interface ComputeSnapshot {
  /** Id for `create({ snapshotId })`. */
  id: string;
  /** Always `"agent-vm"`. */
  provider: string;
  /** Time of creation. */
  createdAt: Date;
  /** Name that was given. */
  metadata: Record<string, string>;
}

/** A sandbox as `getInfo` describes it. */
export interface ComputeSandboxInfo {
  /** Id of the sandbox. */
  id: string;
  /** Always `"agent-vm"`. */
  provider: string;
  /** `stopped` while the VM sleeps. The next call wakes it. */
  status: "running" | "stopped" | "error";
  /** Time of creation. */
  createdAt: Date;
  /** Always 0: a VM has no end of its own. */
  timeout: number;
}

/** An entry of a directory. */
export interface ComputeFileEntry {
  /** Name without the directory. */
  name: string;
  /** Kind of the entry. */
  type: "file" | "directory";
  /** Size in bytes. */
  size: number;
}

/** Argument of `defineProvider()`. */
export interface ComputeProviderConfig {
  /** Always `"agent-vm"`. */
  name: string;
  /** Functions that ComputeSDK calls. The first argument of most is the provider's configuration, which has no effect. */
  methods: {
    /** Sandboxes. */
    sandbox: {
      /** Makes a sandbox. */
      create(config: unknown, options?: ComputeCreateOptions): Promise<ComputeSandbox>;
      /** Finds a sandbox; `null` if it does not exist. */
      getById(config: unknown, sandboxId: string): Promise<ComputeSandbox | null>;
      /** Lists the sandboxes. */
      list(config: unknown): Promise<ComputeSandbox[]>;
      /** Deletes a sandbox. Does nothing if there is no such sandbox. */
      destroy(config: unknown, sandboxId: string): Promise<void>;
      /** Runs a shell line. */
      runCommand(
        sandbox: VmHandle,
        command: string,
        options?: ComputeCommandOptions,
      ): Promise<ComputeCommandResult>;
      /** Runs a shell line and streams its output. */
      streamCommand(
        sandbox: VmHandle,
        command: string,
        options: ComputeCommandOptions,
      ): Promise<ComputeCommandResult>;
      /** Describes a sandbox. `timeout` is always 0. */
      getInfo(sandbox: VmHandle): Promise<ComputeSandboxInfo>;
      /** Makes a preview URL of a port, for 24 hours. */
      getUrl(sandbox: VmHandle, options: { port: number; protocol?: string }): Promise<string>;
      /** Files. Relative paths resolve against the base directory. */
      filesystem: {
        /** Reads a text file. */
        readFile(sandbox: VmHandle, path: string): Promise<string>;
        /** Writes a text file and makes missing parents. */
        writeFile(sandbox: VmHandle, path: string, content: string): Promise<void>;
        /** Makes a directory and missing parents. */
        mkdir(sandbox: VmHandle, path: string): Promise<void>;
        /** Lists a directory. */
        readdir(sandbox: VmHandle, path: string): Promise<ComputeFileEntry[]>;
        /** Tells whether a path exists. */
        exists(sandbox: VmHandle, path: string): Promise<boolean>;
        /** Deletes a path with everything below it. */
        remove(sandbox: VmHandle, path: string): Promise<void>;
      };
    };
    /** Snapshots. Each is a fork of its sandbox that nobody changes. */
    snapshot: {
      /** Takes a snapshot. */
      create(config: unknown, sandboxId: string, options?: { name?: string }): Promise<ComputeSnapshot>;
      /** Lists the snapshots of all sandboxes, or of one. */
      list(config: unknown, options?: { sandboxId?: string; limit?: number }): Promise<ComputeSnapshot[]>;
      /** Deletes a snapshot. Does nothing if there is no such snapshot. */
      delete(config: unknown, snapshotId: string): Promise<void>;
    };
  };
}
