import { ownLimit } from "../../own-proc.ts";
import type { Owner } from "../../own-uids.ts";
import type { HeldMemory } from "../processes/memory-parts.ts";
import { readProc } from "../procfs/procfs.ts";

/*
 * Things that the kernel counts for each user and for each IPC namespace. Under a root server each VM has a uid of its own.
 * The VMs of an ordinary user's server share its user's counts, so that each gets a part.
 */

/** A VM of an ordinary user's server gets this part of what the kernel allows to a user. */
const PART = 1 / 4;

const PAGE_BYTES = 4096;
/** System V message queues, and semaphores: in a set, in all, in one call, sets. */
const [MESSAGE_QUEUES, SEMAPHORES] = [512, "1000 32000 500 1000"];

/** Numbers of resource limits; see getrlimit(2). */
const RESOURCES = [
  [11, "Max pending signals"],
  [12, "Max msgqueue size"],
  [8, "Max locked memory"],
] as const;

/** Most inotify instances and watches of a VM. None are given if the host's limits hold. */
export function inotifyLimits(owner: Owner | null): [name: string, limit: number][] {
  if (owner !== null) return [];
  return ["instances", "watches"]
    .map((name): [string, number] => [
      name,
      partOf(Number(readProc(`/proc/sys/fs/inotify/max_user_${name}`))),
    ])
    .filter(([, limit]) => limit !== 0);
}

/**
 * Resource limits that bound what all processes of a VM have together: signals that wait, POSIX message queues, locked
 * memory.
 */
export function userLimits(owner: Owner | null): [resource: number, limit: number][] {
  if (owner !== null) return [];
  return RESOURCES.map(([resource, title]): [number, number] => [
    resource,
    partOf(ownLimit(title, "hard")),
  ]).filter(([, limit]) => limit !== 0);
}

/** Limits of a VM's IPC namespace, by their names in /proc/sys/kernel. */
export function ipcLimits({
  segments,
}: Pick<HeldMemory, "segments">): [name: string, value: string | number][] {
  return [
    ["shmall", Math.ceil(segments / PAGE_BYTES)],
    ["msgmni", MESSAGE_QUEUES],
    ["sem", SEMAPHORES],
  ];
}

/** @returns 0 for no limit */
function partOf(limit: number): number {
  return Number.isFinite(limit) ? Math.ceil(limit * PART) : 0;
}
