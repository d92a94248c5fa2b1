import { readdirSync, readFileSync } from "node:fs";
import { bareVm } from "./vm.ts";

const VMS = 20;
const MIB = 1024 * 1024;

/** Memory of one idle VM: growth of the server plus the proportional memory of the VM's own processes. */
export async function idleMemory(): Promise<{ serverMib: number; processesMib: number }> {
  const first = bareVm();
  await first.exec("true");
  collectGarbage();
  const before = process.memoryUsage().rss;
  const vms = Array.from({ length: VMS }, () => bareVm());
  for (const vm of vms) await vm.boot();
  collectGarbage();
  const serverMib = Math.max(0, process.memoryUsage().rss - before) / VMS / MIB;
  const idle = descendants(process.pid).filter(isIdleVm);
  const processesMib = idle.reduce((sum, pid) => sum + pss(pid), 0) / (VMS + 1) / MIB;
  await Promise.all([first, ...vms].map((vm) => vm.dispose("destroy")));
  return { serverMib, processesMib };
}

function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** A VM that runs nothing is its init and the unshare(1) outside that waits for it. */
function isIdleVm(pid: number): boolean {
  const [program = ""] = read(`/proc/${pid}/cmdline`).split("\0");
  return program.endsWith("/unshare") || program === "/run/agentos/cat";
}

function descendants(root: number): number[] {
  const found: number[] = [];
  for (const tid of list(`/proc/${root}/task`)) {
    const children = read(`/proc/${root}/task/${tid}/children`).split(" ").filter(Boolean).map(Number);
    for (const child of children) found.push(child, ...descendants(child));
  }
  return found;
}

function pss(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process has ended.
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
