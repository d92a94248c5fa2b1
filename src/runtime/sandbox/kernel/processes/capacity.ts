import { readFileSync } from "node:fs";
import type { VmLimits } from "../../../options.ts";
import { runningProcesses } from "../../host-room.ts";
import { readProc } from "../procfs/procfs.ts";
import { hasOwnUids } from "./own-uids.ts";

/** Processes that the API may start when the VM's own processes have reached their limit. */
export const RESERVED_PROCESSES = 16;

/** Part of the host's processes that VMs may not take. */
const KEPT_FOR_HOST = 0.1;

/**
 * Limit of processes in the cgroup, the second line of defence after the exact limit of the user namespace. It has room
 * for a waiting host process for each process that entered the VM.
 */
export function cgroupPids({ processes }: Pick<VmLimits, "processes">): number {
  return 2 * (processes + RESERVED_PROCESSES) + 16;
}

let capacity: number | undefined;

/** Processes and threads of all VMs of this server together, from what the host has left when the server starts. */
export function processCapacity(): number {
  capacity ??= findCapacity();
  return capacity;
}

function findCapacity(): number {
  const ownLimit = /^Max processes\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  const limits = [
    readProc("/proc/sys/kernel/pid_max"),
    readProc("/proc/sys/kernel/threads-max"),
    // The limit of the server's user does not hold for VMs with uids of their own.
    hasOwnUids() ? undefined : ownLimit,
  ]
    .map(Number)
    .filter(Number.isFinite);
  return Math.max(1, Math.floor(Math.min(...limits) * (1 - KEPT_FOR_HOST)) - runningProcesses());
}

/** @returns VMs that can have all the processes of their limit at the same time */
export function vmCapacity(limits: Pick<VmLimits, "processes">): number {
  return Math.floor(processCapacity() / cgroupPids(limits));
}

let hardLimit: number | undefined;

/** Lowers a limit to the server's hard limit: a shell cannot raise its limit above it, and fails. */
export function openFilesLimit(wanted: number): number {
  const text = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  hardLimit ??= text === "unlimited" || text === undefined ? Number.POSITIVE_INFINITY : Number(text);
  return Math.min(wanted, hardLimit);
}
