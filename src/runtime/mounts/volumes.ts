import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { AgentVmError } from "../../api/errors.ts";
import { makeFolder } from "../../base/private-folder.ts";
import type { HostFolder } from "../sandbox/mounts.ts";

/** Folder of the volumes in a data folder. */
export const VOLUMES_FOLDER = "volumes";

/** A VM's use of a volume. */
interface Use {
  isExclusive: boolean;
}

/** Uses of the volumes of this process, by the path of the volume. One server has a data folder at a time. */
const uses = new Map<string, Set<Use>>();

/** A volume that a VM has mounted, until `release`. */
export interface OpenVolume {
  host: HostFolder;
  release(): void;
}

/**
 * Opens a volume, and makes it if it is new. Other users of the host cannot reach it.
 *
 * @throws AgentVmError `volume_in_use`; `mount_unavailable` without a data folder
 */
export function openVolume(
  dataFolder: string | undefined,
  { name, isExclusive }: { name: string; isExclusive: boolean },
): OpenVolume {
  if (dataFolder === undefined)
    throw new AgentVmError("mount_unavailable", "Volumes need a server with a data folder of its own", {
      name,
    });
  const volumes = join(dataFolder, VOLUMES_FOLDER);
  const path = join(volumes, name);
  const others = uses.get(path) ?? new Set();
  if (others.size > 0 && (isExclusive || [...others].some((use) => use.isExclusive)))
    throw new AgentVmError("volume_in_use", `Another VM uses the volume ${name}`, { name });
  makeFolder(volumes);
  mkdirSync(path, { recursive: true, mode: 0o755 });
  const use: Use = { isExclusive };
  uses.set(path, others.add(use));
  return {
    host: { folder: realpathSync(volumes), name },
    release() {
      others.delete(use);
      if (others.size === 0 && uses.get(path) === others) uses.delete(path);
    },
  };
}
