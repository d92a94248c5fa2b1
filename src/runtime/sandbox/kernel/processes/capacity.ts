import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import type { VmLimits } from "../../../options.ts";
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

/** A host with less of its memory left is short of it, whatever its size. */
const LOW_MEMORY_PART = 0.1;

/**
 * Memory that is left on the host, or in the server's container.
 * @unit bytes
 * @past No VM is booted ahead, and VMs that wait are given up. Hosts with little memory have a tenth of it as the limit.
 */
const LOW_MEMORY_BYTES = 512 * 1024 * 1024;

/** A host with more of its processes and threads in use is short of them. */
const HIGH_PROCESSES_PART = 0.8;

/** `true` if the host has little memory or few processes left for further VMs. */
export function hostIsShort(): boolean {
  const constrained = process.constrainedMemory();
  const total = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  if (process.availableMemory() < Math.min(LOW_MEMORY_BYTES, total * LOW_MEMORY_PART)) return true;
  return runningProcesses() > hostProcesses() * HIGH_PROCESSES_PART;
}

let allProcesses: number | undefined;

/** Most processes and threads of the host. */
function hostProcesses(): number {
  allProcesses ??= Math.min(
    ...["pid_max", "threads-max"]
      .map((name) => Number(readProc(`/proc/sys/kernel/${name}`)))
      .filter((limit) => limit > 0),
  );
  return allProcesses;
}

/** Processes and threads of the host now. */
function runningProcesses(): number {
  return Number(/\/(\d+) /.exec(readProc("/proc/loadavg") ?? "")?.[1] ?? 0);
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
