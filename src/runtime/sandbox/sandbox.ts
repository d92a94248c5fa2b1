import { type Capability, notSupported } from "../../api/errors.ts";
import type { VmLimits } from "../options.ts";
import type { FileSystem } from "./files.ts";
import type { SandboxMounts } from "./mounts.ts";
import type { SandboxNetwork } from "./network.ts";
import type { SandboxProcesses } from "./processes.ts";
import type { SandboxTerminals } from "./terminals.ts";
import type { SandboxWatches } from "./watches.ts";

/** Capabilities that a runtime may lack. */
interface SandboxCapabilities {
  processes: SandboxProcesses;
  terminals: SandboxTerminals;
  network: SandboxNetwork;
  watches: SandboxWatches;
  mounts: SandboxMounts;
}

/** Resources that a VM uses now. */
export interface SandboxUsage {
  /** Bytes of the file tree, in whole pages. */
  filesystemBytes: number;
  /** Files, directories and links. */
  inodes: number;
  /** Processes and threads. */
  processes: number;
  /** Bytes of memory; `null` if the runtime does not count it. */
  memoryBytes: number | null;
  /** CPU milliseconds since the boot; `null` if nobody counts them. */
  cpuMs: number | null;
  /** Open descriptors of the process that has most; `null` if the kernel does not count them (before Linux 6.2). */
  openFiles: number | null;
  /** Connections of the server into the VM, and MAX_VM_CONNECTIONS. `null` in a runtime without a network. */
  connections: { used: number; limit: number } | null;
}

/** A sandbox that was booted ahead, and waits for its VM. */
export interface Standby {
  /** `false` if the sandbox has ended, also if nobody has noticed it yet. */
  isAlive(): boolean;
  /** A VM has taken the sandbox. */
  end(): void;
}

/** One VM: its files and the capabilities of its runtime. */
export interface Sandbox extends Partial<Readonly<SandboxCapabilities>> {
  /** Name of its runtime, as in the option `runtime`. */
  readonly runtime: string;
  readonly files: FileSystem;
  /** Measures what the VM uses. */
  usage(): Promise<SandboxUsage>;
  /** Bytes of the file tree, in whole pages. Looks at no process. */
  fileBytes(): Promise<number>;
  /**
   * Makes the files read-only for the programs of the VM, none of which may have run. Absent in a runtime without programs.
   *
   * @throws Error if the host cannot
   */
  makeReadOnly?(): Promise<void>;
  /** Starts what the first program needs, so that the sandbox can wait for a VM. Absent in a runtime without programs. */
  standby?(): Promise<Standby>;
  /** Applies the limits that can change while the VM runs. */
  setLimits?(limits: VmLimits): void;
  /**
   * Lets the file tree have so many bytes, up to `limits.filesystemBytes`, if it has fewer. Absent in a runtime whose trees have all
   * of them.
   *
   * @returns whether the tree has more room than before
   */
  makeRoom?(bytes: number): Promise<boolean>;
  /** Takes room of `makeRoom` back if the files fit without it: sparse files take less than their bytes. */
  fitRoom?(): Promise<void>;
  /** Kills every process in the VM. The files stay until `dispose`. */
  halt(): Promise<void>;
  /** Resolves when the sandbox has ended without `dispose`. */
  readonly crashed: Promise<Error>;
  /** Ends every process and releases everything. Idempotent. */
  dispose(): Promise<void>;
}

/** Limits of a VM as a runtime enforces them. */
export interface EnforcedLimits {
  /** Bytes of files: at most `limits.filesystemBytes`. */
  filesystemBytes: number;
  /** Whether `limits.memoryBytes` holds. */
  memory: boolean;
}

/** A runtime and its capabilities, known before a VM boots. */
export interface Runtime {
  readonly runtime: string;
  readonly capabilities: ReadonlySet<Capability>;
  /** Returns what a VM with these limits gets. Boots nothing. */
  enforced(limits: VmLimits): Promise<EnforcedLimits>;
}

/** Describes a runtime in the server's banner. */
export interface RuntimeDescription {
  /** One line, e.g. `"kernel sandbox (user, mount, pid, net, ipc, uts namespaces)"`. */
  isolation: string;
  /** How programs of a VM get out, e.g. `"every connection of a program meets the policy"`. */
  network: string;
  /** Files of the host that VMs can see, e.g. `"/usr, certificates; all read-only"`. */
  visible: string;
}

/** Boots sandboxes of one runtime. */
export interface SandboxFactory extends Runtime {
  describe(): Promise<RuntimeDescription>;
  /** @param limits limits of this VM. @default the limits of the factory's options */
  boot(signal: AbortSignal, limits?: VmLimits): Promise<Sandbox>;
  /** `true` if the host has little left for more sandboxes: then none is booted ahead. @default never */
  isShort?(): boolean;
  /** Releases the resources that its VMs share, after their end. The next boot creates them again. */
  close?(): Promise<void>;
}

/**
 * Returns a capability of a sandbox.
 *
 * @param action name of the API method that needs it, for the error
 * @throws AgentVmError `not_supported` if the runtime lacks it
 */
export function capabilityOf<Name extends Capability>(
  sandbox: Sandbox,
  name: Name,
  action: string,
): SandboxCapabilities[Name] {
  const found: Partial<SandboxCapabilities>[Name] = sandbox[name];
  if (found === undefined) throw notSupported(action, name, sandbox.runtime);
  return found;
}

/**
 * Checks for a capability without booting a VM.
 *
 * @throws AgentVmError `not_supported` if the runtime lacks it
 */
export function requireCapability(
  { runtime, capabilities }: Runtime,
  name: Capability,
  action: string,
): void {
  if (!capabilities.has(name)) throw notSupported(action, name, runtime);
}
