import { readProc } from "./procfs.ts";

/** Tells whether the kernel has killed for want of memory since the watch began. */
export interface OomWatch {
  hasKilled(): boolean;
}

/** Counts kills of one VM's cgroup, or of the whole host where the VM has none. */
export function watchOom(count: () => number = hostOomKills): OomWatch {
  const before = count();
  return { hasKilled: () => count() > before };
}

function hostOomKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(readProc("/proc/vmstat") ?? "")?.[1] ?? 0);
}
