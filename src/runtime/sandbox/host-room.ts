import { readdirSync, statfsSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { AgentVmError } from "../../api/errors.ts";
import { isTableFull } from "../../base/system-errors.ts";
import { ownLimit } from "./own-proc.ts";
import { hasOwnUids, uidRange } from "./own-uids.ts";
import { ownProcessLimits, type ProcessLimit } from "./process-limits.ts";

/** Descriptors that an awake VM takes in the server: its storage, its first process and its helpers. */
const DESCRIPTORS_PER_VM = 20;

/** Memory of a small VM with a program: of its processes, its files and its part in the server. */
const MEMORY_PER_VM_BYTES = 16 * 1024 * 1024;

/** Part of the memory of a host, or of a container, that VMs may use. */
const USABLE_MEMORY_PART = 0.8;

/** Processes of an awake VM and its helpers. */
const PROCESSES_PER_VM = 7;

/**
 * Descriptors of the server that boots leave to connections and to the VMs that are awake: this part of all, at least and
 * at most so many.
 */
const KEPT_DESCRIPTORS = { part: 0.15, least: 96, most: 8_192 };

/**
 * Time for which a count of descriptors is good. Before Linux 6.2 a count looks at each of them.
 * @unit ms
 */
const COUNT_MS = 100;

/**
 * Time for which a look at memory and processes is good. Each VM of a burst asks several times, and a look reads a dozen files.
 * @unit ms
 */
const LOOK_MS = 50;

/** A host with less of its memory left is short of it, whatever its size. */
const LOW_MEMORY_PART = 0.1;

/**
 * Memory that is left on the host, or in the server's container.
 * @unit bytes
 * @past No VM is booted ahead, and VMs that wait are given up. Hosts with little memory have a tenth of it as the limit.
 */
const LOW_MEMORY_BYTES = 512 * 1024 * 1024;

/** Part of either limit of memory at which no VM boots at all. */
const NO_MEMORY_PART = 0.25;

/** A host or cgroup with more of its processes and threads in use is short of them. */
const HIGH_PROCESSES_PART = 0.8;

/** A host or cgroup with more of its processes and threads in use boots no VM. */
const FULL_PROCESSES_PART = 0.95;

/**
 * Processes and threads that the server keeps for itself: without a thread left, a terminal would end the whole server.
 * @unit processes
 * @past Boots and terminals are refused.
 */
const KEPT_PROCESSES = 16;

/**
 * Disk of the data folder that new VMs leave to the others.
 * @unit bytes
 * @past No VM is made. Small disks have a part of theirs as the limit.
 */
const KEPT_DISK_BYTES = 256 * 1024 * 1024;
const KEPT_DISK_PART = 0.05;

/** A resource of which a server can run out. */
export type HostResource = "descriptors" | "disk" | "memory" | "processes" | "uids";

const REMEDIES: Record<HostResource, string> = {
  descriptors: "Put VMs to sleep, or start the server with a higher limit of open files (ulimit -n).",
  disk: "Destroy VMs, or give the data folder a larger disk.",
  memory: "Put VMs to sleep, or give the host more memory.",
  processes:
    "Put VMs to sleep, or raise the limit of processes: of the server's cgroup (TasksMax, --pids-limit), or the host's kernel.pid_max and kernel.threads-max.",
  uids: "Put VMs to sleep, or give the server more uids.",
};

/** Error of a server that has too little of a resource for another VM. */
export function serverFull(resource: HostResource): AgentVmError {
  const lack = { memory: "bytes of memory", disk: "bytes of disk" }[resource as string] ?? resource;
  const message = `The server has too few ${lack} left for another VM`;
  return new AgentVmError("server_full", message, { resource, hint: REMEDIES[resource] });
}

/** @throws AgentVmError `server_full` if the server has no room for another VM that is awake */
export function assertHostHasRoom(): void {
  if (openDescriptors() + DESCRIPTORS_PER_VM > usableDescriptors()) throw serverFull("descriptors");
  const { memory, processes } = seenHost();
  if (isBelow(memory, NO_MEMORY_PART)) throw serverFull("memory");
  if (areGone(processes) || arePast(processes, FULL_PROCESSES_PART)) throw serverFull("processes");
}

/** @throws AgentVmError `server_full` if the disk of a folder has no room for the files of another VM */
export function assertDiskHasRoom(folder: string): void {
  const { bsize, blocks, bavail } = statfsSync(folder);
  if (bsize * bavail < Math.min(KEPT_DISK_BYTES, bsize * blocks * KEPT_DISK_PART)) throw serverFull("disk");
}

/** `true` if the host has little memory or few processes or descriptors left for further VMs. */
export function hostIsShort(): boolean {
  const { memory, processes } = seenHost();
  if (isBelow(memory, 1)) return true;
  if (openDescriptors() + 2 * DESCRIPTORS_PER_VM > usableDescriptors()) return true;
  return areGone(processes) || arePast(processes, HIGH_PROCESSES_PART);
}

let seen: { at: number; memory: Memory; processes: ProcessLimit[] } | undefined;

function seenHost(): { memory: Memory; processes: ProcessLimit[] } {
  const now = performance.now();
  if (seen === undefined || now - seen.at >= LOOK_MS)
    seen = { at: now, memory: memoryLeft(), processes: ownProcessLimits() };
  return seen;
}

/** `true` if the server needs the processes and threads that are left for itself. */
export function processesAreGone(): boolean {
  return areGone(ownProcessLimits());
}

function areGone(processes: readonly ProcessLimit[]): boolean {
  return processes.some(({ limit, running }) => running + KEPT_PROCESSES > limit);
}

function arePast(processes: readonly ProcessLimit[], part: number): boolean {
  return processes.some(({ limit, running }) => running > limit * part);
}

/** Awake VMs for which this process has descriptors; `Infinity` on a host without `/proc`. */
export function descriptorCapacity(): number {
  return Math.floor(usableDescriptors() / DESCRIPTORS_PER_VM);
}

/** Awake VMs that this process and its host can have at most, if each runs little. */
export function awakeCapacity(): number {
  const { total } = memoryLeft();
  return Math.floor(
    Math.min(
      descriptorCapacity(),
      hasOwnUids() ? uidRange().count : Number.POSITIVE_INFINITY,
      (total * USABLE_MEMORY_PART) / MEMORY_PER_VM_BYTES,
      ...ownProcessLimits().map(({ limit }) => (limit * HIGH_PROCESSES_PART) / PROCESSES_PER_VM),
    ),
  );
}

interface Memory {
  left: number;
  total: number;
}

function memoryLeft(): Memory {
  const constrained = process.constrainedMemory();
  const total = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return { left: process.availableMemory(), total };
}

function isBelow({ left, total }: Memory, part: number): boolean {
  return left < part * Math.min(LOW_MEMORY_BYTES, total * LOW_MEMORY_PART);
}

let usable: number | undefined;

/** Descriptors that VMs may take. Node raises the soft limit of open files to the hard limit when it starts. */
function usableDescriptors(): number {
  if (usable !== undefined) return usable;
  usable = ownLimit("Max open files", "soft") - keptDescriptors();
  return usable;
}

/** Descriptors that boots of VMs leave to connections. */
export function keptDescriptors(): number {
  const { part, least, most } = KEPT_DESCRIPTORS;
  return Math.min(most, Math.max(least, ownLimit("Max open files", "soft") * part));
}

let counted = { at: Number.NEGATIVE_INFINITY, descriptors: 0 };

function openDescriptors(): number {
  const now = performance.now();
  if (now - counted.at < COUNT_MS) return counted.descriptors;
  try {
    // The folder's size is their number, since Linux 6.2. To read the folder takes milliseconds with some thousand of them.
    const { size } = statSync("/proc/self/fd");
    counted = { at: now, descriptors: size > 0 ? size : readdirSync("/proc/self/fd").length };
  } catch (error) {
    // A process without a free descriptor cannot count them.
    const descriptors = isTableFull(error) ? Number.MAX_SAFE_INTEGER : 0;
    counted = { at: now, descriptors };
  }
  return counted.descriptors;
}
