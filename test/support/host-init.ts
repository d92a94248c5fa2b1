import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Vm } from "../../src/runtime/vm.ts";
import { ownDescendants } from "./host.ts";

/** Finds the host pid of the VM's init: the descendant of this process that is pid 1 of its own namespace. */
export async function hostInit(vm: Vm): Promise<number> {
  expect((await vm.allProcesses()).some(({ pid }) => pid === 1)).toBe(true);
  const found = ownDescendants().find((pid) => {
    if (!readdirSync("/proc").includes(String(pid))) return false;
    return /^NSpid:\s+\d+\s+1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  });
  if (found === undefined) throw new Error("No descendant of this process is the init of a VM");
  return found;
}
