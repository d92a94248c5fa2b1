import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { VmLimits } from "../../../options.ts";
import { readProc } from "../procfs/procfs.ts";
import { type Controller, poolSettings, type Setting, vmSettings } from "./cgroup-settings.ts";
import { changeCgroup, type Hierarchy, makeCgroup, tryRemove, usableHierarchies } from "./hierarchies.ts";
import type { CountedMemory } from "./memory-view.ts";

/** Attempts to remove a cgroup: the kernel refuses until the last process has been reaped. */
const REMOVE_TRIES = 50;
const REMOVE_PAUSE_MS = 10;

/** Place of a VM's cgroup in the VM, where programs look for their limits. */
const IN_VM = "/sys/fs/cgroup";

/** Controllers whose limits the banner names. */
const LIMITING: readonly Controller[] = ["memory", "pids", "cpu", "io"];

/** The cgroup of one VM. */
export interface VmCgroup {
  /**
   * Files to which a process writes "0" to enter the cgroup. The server never writes a pid, which could belong to
   * another process by then.
   */
  readonly procs: readonly string[];
  /** Places of the cgroup on the host and in the VM, which may read it. */
  readonly mounts: readonly { source: string; target: string }[];
  /** Returns the number of processes that the kernel has killed in it because of the memory limit. */
  oomKills(): number;
  /** Returns the memory of its processes and files; `undefined` if it cannot be read. */
  memoryBytes(): number | undefined;
  /** Returns what /proc/meminfo shows of it. */
  memory(): CountedMemory;
  /** Applies other limits. */
  update(limits: VmLimits): void;
  remove(): Promise<void>;
}

/** Use that this server can make of the host's cgroups. */
interface CgroupSupport {
  /** Limits that are enforced, or the reason why none are, for the banner. */
  description: string;
  /** `true` if each VM has its share of the CPUs, and `limits.cpus` is enforced. */
  sharesCpu: boolean;
  /** Folders and links that a VM needs to see its cgroup. */
  folders: readonly string[];
  links: readonly { path: string; target: string }[];
  /** `undefined` if the server may not create cgroups. */
  create: ((name: string, limits: VmLimits) => VmCgroup) | undefined;
}

let support: CgroupSupport | undefined;

/** Finds out once what the host allows. Creates only a trial folder. */
export function cgroupSupport(): CgroupSupport {
  support ??= findSupport();
  return support;
}

function findSupport(): CgroupSupport {
  const hierarchies = usableHierarchies();
  const controllers = hierarchies.flatMap((hierarchy) => hierarchy.controllers);
  const [first] = hierarchies;
  if (first === undefined) {
    return {
      description:
        "no cgroup limits: this server may not create cgroups; memory of processes is not limited; files are limited by limits.filesystemBytes; a VM can take the CPUs and sockets of others",
      sharesCpu: false,
      folders: [],
      links: [],
      create: undefined,
    };
  }
  return {
    description: `cgroup ${first.version} limits of ${controllers.filter((name) => LIMITING.includes(name)).join(", ")}`,
    sharesCpu: controllers.includes("cpu"),
    folders: hierarchies.map(({ place }) => join(IN_VM, place)),
    links: hierarchies.flatMap(({ place, aliases }) =>
      aliases.map((alias) => ({ path: join(IN_VM, alias), target: place })),
    ),
    create: (name, limits) => createCgroup(hierarchies, name, limits),
  };
}

function createCgroup(hierarchies: readonly Hierarchy[], name: string, limits: VmLimits): VmCgroup {
  const made: string[] = [];
  try {
    for (const hierarchy of hierarchies) {
      const path = join(hierarchy.pool, name);
      makeInPool(hierarchy, path, vmSettings(hierarchy, limits));
      made.push(path);
    }
  } catch (error) {
    for (const path of made) tryRemove(path);
    for (const { pool } of hierarchies) tryRemove(pool);
    throw error;
  }
  const counted = hierarchies.findIndex(({ controllers }) => controllers.includes("memory"));
  const isV2 = hierarchies[counted]?.version === "v2";
  const counter = isV2 ? "memory.events" : "memory.oom_control";
  const memoryFile = isV2 ? "memory.current" : "memory.usage_in_bytes";
  return {
    mounts: hierarchies.map(({ place }, index) => ({
      source: made[index] as string,
      target: join(IN_VM, place),
    })),
    // A process of one thread moves itself by either. Since Linux 5.18 version 1 waits for no grace period of RCU with `tasks`.
    procs: made.map((path, index) =>
      join(path, hierarchies[index]?.version === "v1" ? "tasks" : "cgroup.procs"),
    ),
    oomKills: () => {
      const text = readProc(join(made[counted] as string, counter)) ?? "";
      return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
    },
    memoryBytes: () => {
      const text = readProc(join(made[counted] as string, memoryFile));
      return text === undefined ? undefined : Number(text);
    },
    memory: () => {
      const text = readProc(join(made[counted] as string, "memory.stat")) ?? "";
      // Version 1 has its fields also without the memory of children, under shorter names.
      const field = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
      return {
        used: Number(readProc(join(made[counted] as string, memoryFile)) ?? 0),
        cached: field(isV2 ? "file" : "total_cache"),
        inactive: field(isV2 ? "inactive_file" : "total_inactive_file"),
        shared: field(isV2 ? "shmem" : "total_shmem"),
      };
    },
    update: (changed) => {
      for (const [index, hierarchy] of hierarchies.entries())
        changeCgroup(made[index] as string, vmSettings(hierarchy, changed));
    },
    remove: async () => {
      for (const path of made) await removeWhenEmpty(path);
      // The kernel refuses while there is another VM.
      for (const { pool } of hierarchies) tryRemove(pool);
    },
  };
}

/** Makes the cgroup of a VM, and with the first VM the cgroup above all of them. */
function makeInPool(hierarchy: Hierarchy, path: string, settings: readonly Setting[]): void {
  const { pool, inherited } = hierarchy;
  const make = () => makeCgroup(path, [...inherited, ...settings]);
  try {
    make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    makeCgroup(pool, [...inherited, ...poolSettings(hierarchy)]);
    make();
  }
}

async function removeWhenEmpty(path: string): Promise<void> {
  for (let tries = 0; tries < REMOVE_TRIES; tries++) {
    if (tryRemove(path)) return;
    await delay(REMOVE_PAUSE_MS);
  }
}
