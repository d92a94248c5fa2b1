import { readFileSync } from "node:fs";
import type { VmLimits } from "../../../options.ts";
import { readProc } from "../procfs/procfs.ts";

/*
 * Things that the kernel counts for each user and for each IPC namespace. Under a root server each VM has a uid of its own.
 * The VMs of an ordinary user's server share its user's counts, so that each gets a part.
 */

/** A VM of an ordinary user's server gets this part of what the kernel allows to a user. */
const PART = 1 / 4;

/** Memory of System V segments, as part of `limits.filesystemBytes`. It belongs to no process, as files do. */
const SHARED_MEMORY_PART = 1 / 2;
const PAGE_BYTES = 4096;
/** System V message queues, and semaphores: in a set, in all, in one call, sets. */
const [MESSAGE_QUEUES, SEMAPHORES] = [512, "1000 32000 500 1000"];

type Owner = { uid: number } | null;

/** Most inotify instances and watches of a VM, for init.pl; 0 for the host's limits. */
export function inotifyLimits(owner: Owner): [instances: number, watches: number] {
  const part = (name: string) => partOf(readProc(`/proc/sys/fs/inotify/max_user_${name}`));
  return owner === null ? [part("instances"), part("watches")] : [0, 0];
}

/**
 * Options of prlimit(1) that bound what all processes of a VM have together: signals that wait, POSIX message queues, locked
 * memory. Since Linux 5.14 a user namespace keeps the limits of the process that makes it.
 */
export function userLimits(owner: Owner): string {
  if (owner !== null) return "";
  const limits = readFileSync("/proc/self/limits", "utf8");
  return (
    [
      ["sigpending", "Max pending signals"],
      ["msgqueue", "Max msgqueue size"],
      ["memlock", "Max locked memory"],
    ] as const
  )
    .map(([option, title]) => [
      option,
      partOf(new RegExp(`^${title}\\s+\\S+\\s+(\\d+)`, "m").exec(limits)?.[1]),
    ])
    .filter(([, limit]) => limit !== 0)
    .map(([option, limit]) => `--${option}=${limit}`)
    .join(" ");
}

/** Shell lines that limit the IPC namespace in which they run. A kernel that lets nobody do so goes on without. */
export function ipcLimits({ filesystemBytes }: Pick<VmLimits, "filesystemBytes">): string[] {
  const settings: [name: string, value: string | number][] = [
    ["shmall", Math.ceil((filesystemBytes * SHARED_MEMORY_PART) / PAGE_BYTES)],
    ["msgmni", MESSAGE_QUEUES],
    ["sem", SEMAPHORES],
  ];
  return settings.map(([name, value]) => `{ echo ${value} > /proc/sys/kernel/${name}; } 2>/dev/null || :`);
}

/** @returns 0 for no limit */
function partOf(limit: string | undefined): number {
  const number = Number(limit);
  return Number.isFinite(number) ? Math.ceil(number * PART) : 0;
}
