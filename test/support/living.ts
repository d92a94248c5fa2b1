import type { VmProcess } from "../../src/api/methods/process-types.ts";

/** Leaves out zombies. The kernel lists a dead process until its parent, usually init, reaps it. */
export function living(processes: readonly VmProcess[]): VmProcess[] {
  return processes.filter(({ state }) => state !== "Z");
}
