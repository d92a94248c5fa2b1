import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { VmLimits } from "../../options.ts";
import { RESERVED_PROCESSES } from "./boot.ts";
import { processStartTime, readProc } from "./procfs.ts";

/** A cgroup may be removed only when its last process has been reaped. */
const REMOVE_TRIES = 50;
const REMOVE_PAUSE_MS = 10;

/** The cgroup of one VM. */
export interface VmCgroup {
  /**
   * Files to which a process writes "0" to move itself into it. The server never writes a pid: it may have become
   * another process's by then, and 0 is the server's own.
   */
  readonly procs: readonly string[];
  /** How often the kernel has killed in it for want of memory. */
  oomKills(): number;
  remove(): Promise<void>;
}

/** What the host's cgroups allow this server to do. */
export interface CgroupSupport {
  /** For the banner: what is enforced, or why nothing is. */
  description: string;
  /** `undefined` where the server may not create cgroups. */
  create: ((name: string, limits: VmLimits) => VmCgroup) | undefined;
}

/** One hierarchy in which a VM gets a folder: all controllers in v2, one each in v1. */
interface Hierarchy {
  base: string;
  files(limits: VmLimits): [file: string, value: number][];
  oomKills: { file: string; field: RegExp } | undefined;
}

const V2: Omit<Hierarchy, "base"> = {
  files: (limits) => [
    ["memory.max", limits.memoryBytes],
    ["memory.swap.max", 0],
    ["pids.max", cgroupPids(limits)],
  ],
  oomKills: { file: "memory.events", field: /^oom_kill (\d+)$/m },
};

const V1_MEMORY: Omit<Hierarchy, "base"> = {
  files: (limits) => [["memory.limit_in_bytes", limits.memoryBytes]],
  oomKills: { file: "memory.oom_control", field: /^oom_kill (\d+)$/m },
};

const V1_PIDS: Omit<Hierarchy, "base"> = {
  files: (limits) => [["pids.max", cgroupPids(limits)]],
  oomKills: undefined,
};

/**
 * The user namespace limits processes exactly; the cgroup is the second wall, with room for those outside: each
 * process that has entered may have one that waits for it.
 */
function cgroupPids(limits: VmLimits): number {
  return 2 * (limits.processes + RESERVED_PROCESSES) + 16;
}

let support: CgroupSupport | undefined;

/** Looked up once; creates nothing yet but a trial folder. */
export function cgroupSupport(): CgroupSupport {
  support ??= findSupport();
  return support;
}

function findSupport(): CgroupSupport {
  const hierarchies = findHierarchies();
  if (hierarchies.length === 0) {
    return {
      description:
        "no cgroup limits: this server may not create cgroups; memory is bounded by the file limit only",
      create: undefined,
    };
  }
  const version = hierarchies.length === 1 && hierarchies[0]?.oomKills === V2.oomKills ? "v2" : "v1";
  return {
    description: `cgroup ${version} memory and pids limits`,
    create: (name, limits) => createCgroup(hierarchies, name, limits),
  };
}

function findHierarchies(): Hierarchy[] {
  const own = ownCgroups();
  const v2 = own.get("");
  if (v2 !== undefined && existsSync(join("/sys/fs/cgroup", "cgroup.controllers"))) {
    const root = "/sys/fs/cgroup";
    // Processes and controllers for children exclude each other but at the root: VMs go beside the server's own.
    for (const parent of [v2 === "/" ? root : dirname(join(root, v2))]) {
      if (hasControllers(parent) && mayCreate(parent, "memory.max")) return [{ base: parent, ...V2 }];
    }
    return [];
  }
  const found: Hierarchy[] = [];
  for (const [controller, kind] of [
    ["memory", V1_MEMORY],
    ["pids", V1_PIDS],
  ] as const) {
    const path = own.get(controller);
    const base =
      path === undefined
        ? undefined
        : firstExisting([join("/sys/fs/cgroup", controller, path), join("/sys/fs/cgroup", controller)]);
    if (base === undefined || !mayCreate(base, "cgroup.procs")) return [];
    found.push({ base, ...kind });
  }
  return found;
}

/** Controller (empty for v2) -> path, from /proc/self/cgroup; see cgroups(7). */
function ownCgroups(): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of (readProc("/proc/self/cgroup") ?? "").trim().split("\n")) {
    const [, controllers = "", ...path] = line.split(":");
    for (const controller of controllers.split(",")) found.set(controller, path.join(":"));
  }
  return found;
}

function firstExisting(paths: string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}

function hasControllers(parent: string): boolean {
  const enabled = (readProc(join(parent, "cgroup.subtree_control")) ?? "").split(/\s+/);
  if (enabled.includes("memory") && enabled.includes("pids")) return true;
  try {
    writeFileSync(join(parent, "cgroup.subtree_control"), "+memory +pids");
    return true;
  } catch {
    return false;
  }
}

function mayCreate(parent: string, expectedFile: string): boolean {
  dropStale(parent);
  const trial = join(parent, folderName("trial"));
  try {
    mkdirSync(trial);
  } catch {
    return false;
  }
  try {
    return existsSync(join(trial, expectedFile));
  } finally {
    rmdirSync(trial);
  }
}

function folderName(name: string): string {
  return `agent-vm-${process.pid}-${processStartTime(process.pid)}-${name}`;
}

/** A server that was killed could not remove its own. */
function dropStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const match = /^agent-vm-(\d+)-(\d+)-/.exec(name);
    if (match === null || processStartTime(Number(match[1])) === Number(match[2])) continue;
    tryRemove(join(parent, name));
  }
}

function createCgroup(hierarchies: readonly Hierarchy[], name: string, limits: VmLimits): VmCgroup {
  const made: { path: string; hierarchy: Hierarchy }[] = [];
  try {
    for (const hierarchy of hierarchies) {
      const path = join(hierarchy.base, folderName(name));
      mkdirSync(path);
      made.push({ path, hierarchy });
      for (const [file, value] of hierarchy.files(limits)) {
        // Some kernels are built without swap accounting.
        if (existsSync(join(path, file))) writeFileSync(join(path, file), String(value));
      }
    }
  } catch (error) {
    for (const { path } of made) tryRemove(path);
    throw error;
  }
  return {
    procs: made.map(({ path }) => join(path, "cgroup.procs")),
    oomKills: () => {
      const counted = made.find(({ hierarchy }) => hierarchy.oomKills !== undefined);
      const oomKills = counted?.hierarchy.oomKills;
      if (counted === undefined || oomKills === undefined) return 0;
      return Number(oomKills.field.exec(readProc(join(counted.path, oomKills.file)) ?? "")?.[1] ?? 0);
    },
    remove: async () => {
      for (const { path } of made) await removeWhenEmpty(path);
    },
  };
}

async function removeWhenEmpty(path: string): Promise<void> {
  for (let tries = 0; tries < REMOVE_TRIES; tries++) {
    if (tryRemove(path)) return;
    await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
  }
}

function tryRemove(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
