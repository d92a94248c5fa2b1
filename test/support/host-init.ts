import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Vm } from "../../src/runtime/vm.ts";
import { ownDescendants } from "./host.ts";

/**
 * Finds the host pid of the newest VM's init: the last descendant of this process that is pid 1 of its own namespace. Other test files
 * may have left VMs in this process.
 */
export async function hostInit(vm: Vm): Promise<number> {
  expect((await vm.allProcesses()).some(({ pid }) => pid === 1)).toBe(true);
  const inits = ownDescendants().filter((pid) => {
    if (!readdirSync("/proc").includes(String(pid))) return false;
    return /^NSpid:\s+\d+\s+1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  });
  const found = inits.sort((a, b) => startTime(b) - startTime(a))[0];
  if (found === undefined) throw new Error("No descendant of this process is the init of a VM");
  return found;
}

/** The time at which a process started, in the kernel's ticks: field 22 of its line in proc(5). */
function startTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
}
