import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isShortage } from "../../base/system-errors.ts";
import { readOwnProc } from "./own-proc.ts";

/** Mount points of cgroups. */
export const CGROUPS = "/sys/fs/cgroup";

/** A limit of processes and threads, and how many there are. */
export interface ProcessLimit {
  limit: number;
  running: number;
}

/** Stands for a limit that cannot be read now: it may have been reached. */
const UNKNOWN: ProcessLimit = { limit: 0, running: 1 };

/** Limits of this process and its children: the host's, and those of the cgroups around it. */
export function ownProcessLimits(): ProcessLimit[] {
  return [hostLimit(), ...cgroupLimits(ownPidsFolder())];
}

/** Limits of a cgroup and of those around it. A cgroup without a limit is left out. */
export function cgroupLimits(folder: string): ProcessLimit[] {
  const found: ProcessLimit[] = [];
  for (let at = folder; at.startsWith(CGROUPS); at = dirname(at)) {
    try {
      const [limit, running] = ["pids.max", "pids.current"].map((name) => read(join(at, name)));
      // A cgroup without a limit says "max".
      if (Number(limit) > 0 && running) found.push({ limit: Number(limit), running: Number(running) });
    } catch {
      found.push(UNKNOWN);
    }
  }
  return found;
}

let most: number | undefined;

/** Processes and threads of the host. */
export function hostLimit(): ProcessLimit {
  try {
    most ??= Math.min(
      ...["pid_max", "threads-max"]
        .map((name) => Number(read(`/proc/sys/kernel/${name}`)))
        .filter((limit) => limit > 0),
    );
    return { limit: most, running: Number(/\/(\d+) /.exec(read("/proc/loadavg") ?? "")?.[1] ?? 0) };
  } catch {
    return UNKNOWN;
  }
}

/**
 * Reads /proc/self/cgroup, see cgroups(7): paths by controller, which is empty for version 2.
 *
 * @throws Error if it cannot be read now, for example because the server has no descriptor left
 */
export function ownCgroups(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of (readOwnProc("/proc/self/cgroup") ?? "").trim().split("\n")) {
    const [, controllers = "", ...path] = line.split(":");
    for (const controller of controllers.split(",")) found.set(controller, path.join(":"));
  }
  return found;
}

let pidsFolder: string | undefined;

/** Folder of the cgroup that counts the processes of this server. */
function ownPidsFolder(): string {
  pidsFolder ??= findPidsFolder();
  return pidsFolder;
}

/** A container may see its own cgroup as the mount point. */
function findPidsFolder(): string {
  const own = ownCgroups();
  const version1 = own.get("pids");
  const mount = version1 === undefined ? CGROUPS : join(CGROUPS, "pids");
  const folder = join(mount, version1 ?? own.get("") ?? "");
  return existsSync(folder) ? folder : mount;
}

/** @returns `undefined` for a file that this host does not show @throws Error if it cannot be read now */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isShortage(error)) throw error;
    return undefined;
  }
}
