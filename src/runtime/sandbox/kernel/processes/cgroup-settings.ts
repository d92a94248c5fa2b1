import { availableParallelism } from "node:os";
import type { VmLimits } from "../../../options.ts";
import { cgroupPids, processCapacity } from "./capacity.ts";

const CPU_PERIOD_US = 100_000;

/**
 * Weight of all VMs together for each CPU, where a process of the server has 1024. So the VMs leave at least two thirds of
 * a CPU to the server when it needs it.
 */
const VMS_SHARES_PER_CPU = 512;
/** In version 2 a weight of 100 is what 1024 is in version 1. */
const [SHARES, WEIGHT, MAX_WEIGHT] = [1024, 100, 10_000];

/** A file of a cgroup with its value. A file that the kernel does not have is left out. */
export type Setting = readonly [file: string, value: string | number];

/** Controllers of which VMs make use. Version 1 counts CPU time by cpuacct, and programs look for cpuset. */
export type Controller = "memory" | "pids" | "cpu" | "io" | "cpuacct" | "cpuset";

/** Controllers of one hierarchy. */
export interface Controllers {
  version: "v1" | "v2";
  controllers: readonly Controller[];
}

/** Settings of the cgroup above all VMs. */
export function poolSettings({ version, controllers }: Controllers, cpus = availableParallelism()) {
  const settings: Setting[] = [];
  const shares = VMS_SHARES_PER_CPU * cpus;
  if (controllers.includes("pids")) settings.push(["pids.max", processCapacity()]);
  if (controllers.includes("cpu"))
    settings.push(
      version === "v1"
        ? ["cpu.shares", shares]
        : ["cpu.weight", Math.min(MAX_WEIGHT, Math.round((shares / SHARES) * WEIGHT))],
    );
  if (version === "v2")
    settings.push(["cgroup.subtree_control", controllers.map((name) => `+${name}`).join(" ")]);
  return settings;
}

/** Settings of one VM's cgroup. All VMs have the kernel's default weight for CPU and disks. */
export function vmSettings({ version, controllers }: Controllers, limits: VmLimits): Setting[] {
  const { memoryBytes, cpus } = limits;
  const settings: Setting[] = [];
  if (controllers.includes("memory") && version === "v1")
    settings.push(
      ["memory.limit_in_bytes", memoryBytes],
      ["memory.memsw.limit_in_bytes", memoryBytes],
      // Version 1 counts buffers of sockets apart, and only if they have a limit.
      ["memory.kmem.tcp.limit_in_bytes", Math.ceil(memoryBytes / 4)],
    );
  if (controllers.includes("memory") && version === "v2")
    settings.push(["memory.max", memoryBytes], ["memory.swap.max", 0]);
  if (controllers.includes("pids")) settings.push(["pids.max", cgroupPids(limits)]);
  if (controllers.includes("cpu") && cpus !== undefined) {
    const quota = Math.round(cpus * CPU_PERIOD_US);
    if (version === "v2") settings.push(["cpu.max", `${quota} ${CPU_PERIOD_US}`]);
    else settings.push(["cpu.cfs_period_us", CPU_PERIOD_US], ["cpu.cfs_quota_us", quota]);
  }
  return settings;
}
