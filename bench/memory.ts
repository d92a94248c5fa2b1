import { readdirSync, readFileSync } from "node:fs";
import { bareVm } from "./vm.ts";

const VMS = 20;
const MIB = 1024 * 1024;

interface IdleMemory {
  /** Growth of the server. */
  serverMib: number;
  /** Proportional memory of the VM's own processes. */
  processesMib: number;
  /** Proportional memory of its spawner, which ends without commands. */
  spawnerMib: number;
}

/** Memory of one VM that runs nothing. */
export async function idleMemory(): Promise<IdleMemory> {
  const first = bareVm();
  await first.exec("true");
  collectGarbage();
  const before = process.memoryUsage().rss;
  const vms = Array.from({ length: VMS }, () => bareVm());
  for (const vm of vms) await vm.boot();
  collectGarbage();
  const serverMib = Math.max(0, process.memoryUsage().rss - before) / VMS / MIB;
  const all = descendants(process.pid);
  const mibOf = (isCounted: (program: string) => boolean) =>
    all.filter((pid) => isCounted(programOf(pid))).reduce((sum, pid) => sum + pss(pid), 0) / (VMS + 1) / MIB;
  const processesMib = mibOf(isIdleVm);
  const spawnerMib = mibOf((program) => program === "agentos-spawner");
  await Promise.all([first, ...vms].map((vm) => vm.dispose("destroy")));
  return { serverMib, processesMib, spawnerMib };
}

function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** A VM that runs nothing is its init, the cat(1) outside that reads init's output, and the keeper that waits for it. */
function isIdleVm(program: string): boolean {
  return program.endsWith("/unshare") || program.endsWith("/cat");
}

function programOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).split("\0")[0] ?? "";
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
