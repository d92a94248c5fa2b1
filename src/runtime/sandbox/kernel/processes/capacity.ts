import { dirname } from "node:path";
import type { VmLimits } from "../../../options.ts";
import { ownLimit } from "../../own-proc.ts";
import { hasOwnUids } from "../../own-uids.ts";
import { cgroupLimits, hostLimit, ownProcessLimits, type ProcessLimit } from "../../process-limits.ts";
import { usableHierarchies } from "./hierarchies.ts";

/** Processes that the API may start when the VM's own processes have reached their limit. */
export const RESERVED_PROCESSES = 16;

/** Part of the processes of the host, and of the cgroups around the VMs, that VMs may not take. */
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
  const limits = limitsOfVms();
  // The limit of the server's user does not hold for VMs with uids of their own.
  if (!hasOwnUids()) limits.push({ ...hostLimit(), limit: ownLimit("Max processes", "soft") });
  const left = limits.map(({ limit, running }) => Math.floor(limit * (1 - KEPT_FOR_HOST)) - running);
  return Math.max(1, Math.min(...left));
}

/** Limits of what the VMs run. Their cgroup may be beside the server's. */
function limitsOfVms(): ProcessLimit[] {
  const pool = usableHierarchies().find(({ controllers }) => controllers.includes("pids"))?.pool;
  return pool === undefined ? ownProcessLimits() : [hostLimit(), ...cgroupLimits(dirname(pool))];
}

/** @returns VMs that can have all the processes of their limit at the same time */
export function vmCapacity(limits: Pick<VmLimits, "processes">): number {
  return Math.floor(processCapacity() / cgroupPids(limits));
}

let hardLimit: number | undefined;

/** Lowers a limit to the server's hard limit: a shell cannot raise its limit above it, and fails. */
export function openFilesLimit(wanted: number): number {
  hardLimit ??= ownLimit("Max open files", "hard");
  return Math.min(wanted, hardLimit);
}
