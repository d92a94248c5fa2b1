import type { Labels } from "./methods/machine.ts";
import type { OutboundPolicy } from "./methods/network.ts";
import type { Env } from "./values.ts";

/** Limits of one VM. docs/limits.md describes each. */
export interface OwnLimits {
  /** Bytes of the VM's file tree. */
  filesystemBytes?: number;
  /** Number of files, directories and links. */
  inodes?: number;
  /** Number of processes and threads. */
  processes?: number;
  /** Number of open descriptors of one process. */
  openFiles?: number;
  /** Bytes of memory. */
  memoryBytes?: number;
  /** CPUs that the VM may use at once, such as 0.5. */
  cpus?: number;
  /** Bytes of captured output of one `exec`. */
  captureBytes?: number;
}

/**
 * Options of one VM, which its creator gives. The server refuses each that `vmActor({ perVm })` does not allow.
 *
 * @example
 * ```ts
 * const vm = client.vm.getOrCreate("alice", {
 *   createWithInput: { limits: { memoryBytes: 512 * 1024 * 1024 }, labels: { tier: "free" } },
 * });
 * ```
 */
export interface VmInput {
  /** Limits of the VM, up to the server's maxima. @default the server's limits */
  limits?: OwnLimits;
  /** Variables of every command, over those of the server. @default {} */
  env?: Env;
  /** First labels of the VM. @default {} */
  labels?: Labels;
  /** Outbound policy that the VM begins with. @default the server's policy */
  network?: {
    /** Outbound policy, as `setNetworkPolicy` takes it. */
    outbound: OutboundPolicy;
  };
  /** Name of first files that the server offers in `perVm.rootFilesystems`. @default the server's `rootFilesystem` */
  rootFilesystem?: string;
  /** Milliseconds of sleep after which the server destroys the VM. @default the server's `destroyAfterMs` */
  destroyAfterMs?: number;
}

/** Options that the server lets the creator of a VM choose. Labels are always allowed. */
export interface VmChoices {
  /** Largest value of each limit that a VM may choose. A limit that is left out cannot be chosen. */
  limits: OwnLimits;
  /** Whether a VM may have variables of its own. */
  env: boolean;
  /** Whether a VM may choose the outbound policy that it begins with. */
  network: boolean;
  /** Names of first files that a VM may choose. */
  rootFilesystems: string[];
  /** Longest `destroyAfterMs` that a VM may choose; `null` if it may choose none. */
  destroyAfterMs: number | null;
}
