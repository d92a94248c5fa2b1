import { createHash } from "node:crypto";

/** A folder of the host that a VM may see: `name` lies below `folder`, whose path the operator chose. */
export interface HostFolder {
  /** Absolute path, without links. */
  folder: string;
  /** Path below the folder; `""` for the folder itself. A link in it is refused. */
  name: string;
}

/** Files that a mount shows. */
export type MountSource =
  | { kind: "host_dir" | "volume"; host: HostFolder }
  | { kind: "memory"; bytes: number; inodes: number }
  | { kind: "overlay"; host: HostFolder };

/** A mount to make in a running VM. */
export interface MountRequest {
  /** An existing directory of the VM. A link on the way to it is refused. */
  path: string;
  readOnly: boolean;
  source: MountSource;
}

/** Mounts folders into a running VM. */
export interface SandboxMounts {
  /**
   * Makes a mount. All running programs of the VM see it when this resolves.
   *
   * @throws AgentVmError `mount_unavailable` if the host cannot; a POSIX code for a folder or a place that does not fit
   */
  mount(request: MountRequest): Promise<void>;
  /** Takes a mount away. Programs that have files of it open keep them. Does nothing if there is no mount at the path. */
  unmount(path: string): Promise<void>;
}

/** Folder in a VM with the changes of its overlays. Checkpoints keep it. */
export const OVERLAY_FOLDER = "/var/lib/agentos/overlays";

/** Returns the folder in a VM with the changes of the overlay at a path. */
export function overlayUpper(path: string): string {
  return `${OVERLAY_FOLDER}/${createHash("sha256").update(path).digest("hex").slice(0, 16)}/upper`;
}

/** Text of the link by which a checkpoint stores a whiteout: the mark of a deleted file of an overlay's base. */
export const WHITEOUT_TARGET = "(agent-vm: deleted)";
