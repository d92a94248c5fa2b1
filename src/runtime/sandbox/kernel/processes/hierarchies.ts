import { existsSync, mkdirSync, readdirSync, realpathSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CGROUPS, ownCgroups } from "../../process-limits.ts";
import { processStartTime, readProc } from "../procfs/procfs.ts";
import type { Controller, Controllers, Setting } from "./cgroup-settings.ts";

/** Name of the folder of this server's VMs in each hierarchy. */
const SERVER_NAME = /^agent-vm-(\d+)-(\d+)-/;
/** Cgroup of an ordinary user's server, if the unit's own cgroup was delegated to it. */
const SERVER_LEAF = "agent-vm-server";

/** A hierarchy in which the VMs get folders: one for all controllers in version 2, one for each in version 1. */
export interface Hierarchy extends Controllers {
  /** The folder of this server's VMs. It exists while there is a VM. */
  pool: string;
  /** Path below /sys/fs/cgroup at which a VM sees its cgroup, and other names of it there. */
  place: string;
  aliases: readonly string[];
  /** Settings of each cgroup that are those of the cgroup above. */
  inherited: readonly Setting[];
}

/** Makes a cgroup. Nothing is left of a cgroup that cannot be set up. */
export function makeCgroup(path: string, settings: readonly Setting[]): void {
  mkdirSync(path);
  try {
    // Some kernels are built without swap accounting.
    for (const [file, value] of settings)
      if (existsSync(join(path, file))) writeFileSync(join(path, file), String(value));
  } catch (error) {
    tryRemove(path);
    throw error;
  }
}

/**
 * Changes the settings of a cgroup. A limit stays if the kernel refuses its new value, for example memory below the
 * amount in use.
 */
export function changeCgroup(path: string, settings: readonly Setting[]): void {
  const known = settings.filter(([file]) => existsSync(join(path, file)));
  // In version 1 the limit of memory and swap is raised first, and lowered last.
  for (const [file, value] of [...known, ...known])
    quietly(() => writeFileSync(join(path, file), String(value)));
}

/** @returns `true` if the cgroup is gone. The kernel keeps a cgroup that has a process. */
export function tryRemove(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

let hierarchies: Hierarchy[] | undefined;

/** The hierarchies in which this server may create cgroups; none if it may not limit memory and processes. */
export function usableHierarchies(): readonly Hierarchy[] {
  hierarchies ??= findHierarchies();
  return hierarchies;
}

function findHierarchies(): Hierarchy[] {
  const own = ownCgroups();
  const v2 = own.get("");
  const found =
    v2 !== undefined && existsSync(join(CGROUPS, "cgroup.controllers"))
      ? findVersion2(join(CGROUPS, v2))
      : findVersion1(own);
  const controllers = found.flatMap((hierarchy) => hierarchy.controllers);
  return controllers.includes("memory") && controllers.includes("pids") ? found : [];
}

function findVersion2(own: string): Hierarchy[] {
  // Only the root may have both processes and controllers for children, so VMs go beside the server's own cgroup, or the
  // server goes into a leaf of it.
  const base = own === CGROUPS ? CGROUPS : dirname(own);
  const controllers = enableControllers(base);
  if (controllers.length > 0 && mayCreate(base, "memory.max")) return [version2(base, controllers)];
  if (!enterLeaf(own)) return [];
  return mayCreate(own, "memory.max") ? [version2(own, enableControllers(own))] : [];
}

function version2(base: string, controllers: readonly Controller[]): Hierarchy {
  return { version: "v2", pool: poolIn(base), controllers, place: "", aliases: [], inherited: [] };
}

/** @returns the controllers that children have, or none if memory and pids are not among them */
function enableControllers(parent: string): Controller[] {
  const file = join(parent, "cgroup.subtree_control");
  const there = (name: Controller) => (readProc(file) ?? "").split(/\s+/).includes(name);
  const wanted: Controller[] = ["memory", "pids", "cpu", "io"];
  for (const name of wanted) if (!there(name)) quietly(() => writeFileSync(file, `+${name}`));
  const enabled = wanted.filter(there);
  return enabled.includes("memory") && enabled.includes("pids") ? enabled : [];
}

/** Moves all processes of a delegated cgroup into a child, so that the cgroup may have controllers for its children. */
function enterLeaf(own: string): boolean {
  const leaf = join(own, SERVER_LEAF);
  const processes = () => (readProc(join(own, "cgroup.procs")) ?? "").split("\n").filter((pid) => pid !== "");
  if (!quietly(() => mkdirSync(leaf, { recursive: true }))) return false;
  for (const pid of processes()) quietly(() => writeFileSync(join(leaf, "cgroup.procs"), pid));
  if (enableControllers(own).length > 0) return true;
  for (const pid of (readProc(join(leaf, "cgroup.procs")) ?? "").split("\n").filter((pid) => pid !== ""))
    quietly(() => writeFileSync(join(own, "cgroup.procs"), pid));
  tryRemove(leaf);
  return false;
}

function findVersion1(own: ReadonlyMap<string, string>): Hierarchy[] {
  const wanted: [mounted: string, controller: Controller, file: string][] = [
    ["memory", "memory", "memory.limit_in_bytes"],
    ["pids", "pids", "pids.max"],
    ["cpu", "cpu", "cpu.shares"],
    // Without the scheduler BFQ there are no weights, and a cgroup would do nothing.
    ["blkio", "io", "blkio.bfq.weight"],
    // Java looks at its limits only if it finds these two.
    ["cpuacct", "cpuacct", "cpuacct.usage"],
    ["cpuset", "cpuset", "cpuset.cpus"],
  ];
  const found = new Map<string, Hierarchy>();
  for (const [mounted, controller, file] of wanted) {
    const path = own.get(mounted);
    if (path === undefined || !existsSync(join(CGROUPS, mounted))) continue;
    // Controllers that are mounted together have links to one folder.
    const mount = realpathSync(join(CGROUPS, mounted));
    const base = [join(mount, path), mount].find((folder) => existsSync(folder));
    if (base === undefined || !mayCreate(base, file)) continue;
    const { controllers = [], aliases = [] } = found.get(base) ?? {};
    const place = basename(mount);
    found.set(base, {
      version: "v1",
      pool: poolIn(base),
      controllers: [...controllers, controller],
      place,
      aliases: mounted === place ? aliases : [...aliases, mounted],
      inherited: controller === "cpuset" ? inheritedFrom(base, ["cpuset.cpus", "cpuset.mems"]) : [],
    });
  }
  return [...found.values()];
}

function inheritedFrom(base: string, files: readonly string[]): Setting[] {
  return files.map((file) => [file, (readProc(join(base, file)) ?? "").trim()]);
}

function mayCreate(parent: string, expectedFile: string): boolean {
  dropStale(parent);
  const trial = join(parent, folderName("trial"));
  if (!quietly(() => mkdirSync(trial))) return false;
  try {
    return existsSync(join(trial, expectedFile));
  } finally {
    rmdirSync(trial);
  }
}

const poolIn = (base: string) => join(base, folderName("vms"));

function folderName(name: string): string {
  return `agent-vm-${process.pid}-${processStartTime(process.pid)}-${name}`;
}

/** Removes cgroups of servers that were killed. */
function dropStale(parent: string): void {
  for (const name of readdirSync(parent)) {
    const match = SERVER_NAME.exec(name);
    if (match === null || processStartTime(Number(match[1])) === Number(match[2])) continue;
    const pool = join(parent, name);
    quietly(() => {
      for (const vm of readdirSync(pool)) if (vm.startsWith("vm-")) tryRemove(join(pool, vm));
    });
    tryRemove(pool);
  }
}

/** @returns `false` if it failed */
function quietly(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
