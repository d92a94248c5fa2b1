import type { Env } from "../../api/values.ts";

/** A file or directory of the host, mounted read-only into a VM. */
interface ProvisionMount {
  hostPath: string;
  /** Absolute path inside the VM. */
  path: string;
  /** `true`: VMs boot without the mount if the host path no longer exists. @default false */
  optional?: boolean;
}

/** A file in a VM's own tree. The VM's user may change it. */
interface ProvisionFile {
  path: string;
  content: string;
  /** @default false */
  executable?: boolean;
}

interface ProvisionLink {
  path: string;
  target: string;
}

/** Additions to every VM from one part of the server: its Node, the agents or the option `software`. */
export interface Provision {
  /** Name of this provision in the server's banner. @default the host paths of its mounts */
  label?: string;
  mounts?: readonly ProvisionMount[];
  /** `true`: the mounts have no sockets and FIFOs, so that VMs get them as they are. @default false */
  plain?: boolean;
  files?: readonly ProvisionFile[];
  links?: readonly ProvisionLink[];
  /** Names of programs in the VM's PATH that call the server: see `SandboxNetwork.acceptCalls`. */
  callers?: readonly string[];
  /** Variables of every command. A command's own environment overrides them. */
  env?: Env;
}
