import { readFileSync, statfsSync, statSync } from "node:fs";
import { visitAll } from "../../../../base/pace.ts";
import type { SandboxUsage } from "../../sandbox.ts";
import { parseStat, pidsIn, statusField } from "../procfs/procfs.ts";

/** Measures the file tree of a VM through its root directory. */
export function measureFiles({
  rootFd,
}: {
  rootFd: number;
}): Pick<SandboxUsage, "filesystemBytes" | "inodes"> {
  // The files are in memory: to ask another thread takes longer.
  const { bsize, blocks, bfree, files, ffree } = statfsSync(`/proc/self/fd/${rootFd}`);
  return { filesystemBytes: (blocks - bfree) * bsize, inodes: files - ffree };
}

/** Returns the bytes that the file tree of a VM may have. */
export function sizeOfFiles({ rootFd }: { rootFd: number }): number {
  const { bsize, blocks } = statfsSync(`/proc/self/fd/${rootFd}`);
  return blocks * bsize;
}

/**
 * Measures a VM through its root directory and its own procfs.
 *
 * The CPU time of a process that has ended is in the process that waited for it, so all processes together have the time
 * of the whole VM, except for children that their parent ignores (SIGCHLD set to SIG_IGN).
 *
 * @param memoryBytes memory as the VM's cgroup counts it. @default the resident sets of all processes
 */
export async function measureVm(
  { rootFd, procFd }: { rootFd: number; procFd: number },
  memoryBytes: number | undefined,
): Promise<Omit<SandboxUsage, "connections">> {
  const measured = measureFiles({ rootFd });
  const total = { processes: 0, rss: 0, cpuMs: 0, openFiles: 0 };
  const folder = `/proc/self/fd/${procFd}`;
  await visitAll(pidsIn(folder), (pid) => {
    try {
      const status = readFileSync(`${folder}/${pid}/status`, "utf8");
      total.cpuMs += parseStat(readFileSync(`${folder}/${pid}/stat`, "utf8")).cpuMs;
      total.processes += Number(statusField(status, "Threads") ?? 1);
      // Since Linux 6.2 the size of this folder is the number of its entries.
      total.openFiles = Math.max(total.openFiles, statSync(`${folder}/${pid}/fd`).size);
      total.rss += Number.parseInt(statusField(status, "VmRSS") ?? "0", 10) * 1024;
    } catch {
      // The process ended during the read.
    }
  });
  return {
    ...measured,
    processes: total.processes,
    memoryBytes: memoryBytes ?? total.rss,
    cpuMs: total.cpuMs,
    openFiles: total.openFiles === 0 ? null : total.openFiles,
  };
}
