import { posix } from "node:path";
import { AgentVmError, invalidArgument, limitExceeded } from "../../api/errors.ts";
import type { MountOptions } from "../../api/methods/mounts.ts";
import { MIB } from "../../api/units.ts";
import type { VmLimits, VmOptions } from "../options.ts";
import type { HostFolder, MountRequest } from "../sandbox/mounts.ts";
import { hostPlaceOf } from "./host-folders.ts";
import { isWithin } from "./targets.ts";
import { openVolume } from "./volumes.ts";

/** Size and inodes of a memory mount that names none. */
const MEMORY_BYTES = 64 * MIB;
const MEMORY_INODES = 16_384;

/** Options of the server about mounts. */
export type MountRules = Pick<VmOptions, "mounts" | "hostFolders" | "volumes"> & {
  /** Folder of the server's data. */
  dataFolder: string | undefined;
};

/** A mount that the server's options allow. */
export interface PlannedMount {
  request: MountRequest;
  /** Gives a volume free. */
  release(): void;
}

const nothing = () => undefined;

/** Lists the folders of the host that the operator has named. */
export function foldersOf({ mounts, hostFolders }: Pick<VmOptions, "mounts" | "hostFolders">): string[] {
  const mounted = mounts.flatMap(({ plugin }) =>
    plugin.id === "host_dir" || plugin.id === "overlay" ? [plugin.config.hostPath] : [],
  );
  return [...hostFolders.map(({ path }) => path), ...mounted];
}

/** Returns the place of an overlay's base. */
export function baseOf(hostPath: string, rules: Pick<VmOptions, "mounts" | "hostFolders">): HostFolder {
  return hostPlaceOf(hostPath, foldersOf(rules)) ?? { folder: hostPath, name: "" };
}

/** Whether a VM may only read a mount. */
export function isReadOnly({ plugin, readOnly }: MountOptions): boolean {
  return readOnly ?? plugin.id === "host_dir";
}

/** Returns the size and inodes of a memory mount. */
function memoryOf({ plugin }: MountOptions): { bytes: number; inodes: number } {
  if (plugin.id !== "memory") return { bytes: 0, inodes: 0 };
  const { sizeBytes = MEMORY_BYTES, inodes = MEMORY_INODES } = plugin.config ?? {};
  return { bytes: sizeBytes, inodes };
}

/**
 * Checks a mount against the server's options.
 *
 * @param isOption whether the operator chose the mount
 * @throws AgentVmError `mount_forbidden`, `volume_in_use`, `mount_unavailable`, `invalid_argument`
 */
export function planMount(mount: MountOptions, rules: MountRules, isOption: boolean): PlannedMount {
  const { path, plugin } = mount;
  const readOnly = isReadOnly(mount);
  const base = { path, readOnly };
  switch (plugin.id) {
    case "memory":
      return { request: { ...base, source: { kind: "memory", ...memoryOf(mount) } }, release: nothing };
    case "volume": {
      const { name, exclusive = false } = plugin.config;
      const allowed = rules.volumes.find((volume) => volume.name === name);
      if (!isOption && allowed === undefined)
        throw forbidden(`The server lets no VM mount the volume ${name}`, { name });
      if (!isOption && !readOnly && allowed?.writable === false)
        throw forbidden(`The server lets a VM only read the volume ${name}`, { name });
      const volume = openVolume(rules.dataFolder, {
        name,
        isExclusive: exclusive || allowed?.exclusive === true,
      });
      return { request: { ...base, source: { kind: "volume", host: volume.host } }, release: volume.release };
    }
    default: {
      const { hostPath } = plugin.config;
      const isWritten = plugin.id === "host_dir" && !readOnly;
      const host = isOption ? baseOf(hostPath, rules) : allowedFolder(hostPath, isWritten, rules);
      return { request: { ...base, source: { kind: plugin.id, host } }, release: nothing };
    }
  }
}

/** @throws AgentVmError `limit_exceeded` if the memory mounts of a VM together are larger than its own files may be */
export function assertMemory(
  mounts: readonly MountOptions[],
  limits: Pick<VmLimits, "filesystemBytes" | "inodes">,
): void {
  const sizes = mounts.map(memoryOf);
  const bytes = sizes.reduce((sum, size) => sum + size.bytes, 0);
  const inodes = sizes.reduce((sum, size) => sum + size.inodes, 0);
  const remedy = "Ask for less, or unmount one first.";
  const what = "The memory mounts of the VM together would be larger than its limit of files";
  if (bytes > limits.filesystemBytes)
    throw limitExceeded({ "limits.filesystemBytes": limits.filesystemBytes }, what, remedy);
  if (inodes > limits.inodes) throw limitExceeded({ "limits.inodes": limits.inodes }, what, remedy);
}

/** Finds the allowed folder of a path of the host. */
function allowedFolder(hostPath: string, isWritten: boolean, { hostFolders }: MountRules): HostFolder {
  if (
    !hostPath.startsWith("/") ||
    posix.normalize(hostPath) !== hostPath ||
    (hostPath.endsWith("/") && hostPath !== "/")
  )
    throw invalidArgument("mount.plugin.config.hostPath", "an absolute, normalized path", hostPath);
  const fitting = hostFolders.filter(({ writable }) => writable || !isWritten).map(({ path }) => path);
  const allowed = hostPlaceOf(hostPath, fitting);
  if (allowed !== undefined) return allowed;
  const isReadable = hostFolders.some(({ path }) => isWithin(hostPath, path));
  const what = isReadable ? "lets a VM only read" : "lets no VM mount";
  throw forbidden(`The server ${what} the folder ${hostPath}`, { hostPath });
}

function forbidden(message: string, metadata: Record<string, unknown>): AgentVmError {
  return new AgentVmError("mount_forbidden", message, metadata);
}
