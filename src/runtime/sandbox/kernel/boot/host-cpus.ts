import { chmodSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pause } from "../../../../base/pace.ts";

/** The kernel's folder of CPUs. In a VM it is a link to a copy of the files below. */
export const CPU_FOLDER = "/sys/devices/system/cpu";

/** Numbers and places of CPUs, as /proc/cpuinfo has them too. Clocks, temperatures and counters stay hidden. */
const SHOWN = [
  "{possible,present,online,offline,kernel_max}",
  "cpu[0-9]*/topology/{physical_package_id,core_id,core_cpus,core_cpus_list,package_cpus,package_cpus_list}",
  "cpu[0-9]*/topology/{thread_siblings,thread_siblings_list,core_siblings,core_siblings_list}",
];

/**
 * Copies the files into a folder. Without them lscpu and hwloc fail, and libraries such as PyTorch's cpuinfo find no CPU.
 *
 * @param cpus the host's folder
 */
export async function copyHostCpus(folder: string, cpus = CPU_FOLDER): Promise<void> {
  if (!existsSync(cpus)) return;
  for (const path of globSync(SHOWN, { cwd: cpus })) {
    await pause();
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, readFileSync(join(cpus, path)));
    // Whatever umask the server has.
    for (const folder of [dirname(target), dirname(dirname(target))]) chmodSync(folder, 0o755);
    chmodSync(target, 0o644);
  }
}
