import { readFileSync } from "node:fs";
import { afterAll } from "vitest";

/** Clock ticks of a second in /proc on Linux. */
const TICKS = 100;

declare module "vitest" {
  interface TaskMeta {
    /** CPU time of the file's process and of the processes that it has started and that have ended. In milliseconds. */
    cpuMs?: number;
  }
}

/** CPU time that earlier files of this process have spent. */
const spent = globalThis as { agentVmCpuMs?: number };

// biome-ignore lint/correctness/noEmptyPattern: vitest demands a pattern.
afterAll(({}, suite) => {
  const now = cpuMs();
  suite.meta.cpuMs = now - (spent.agentVmCpuMs ?? 0);
  spent.agentVmCpuMs = now;
});

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000 + childrenMs();
}

/** Children count when they have ended. */
function childrenMs(): number {
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return ((Number(fields[13]) + Number(fields[14])) * 1000) / TICKS;
  } catch {
    return 0;
  }
}
