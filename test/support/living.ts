import type { VmProcess } from "../../src/api/types.ts";

/** Processes without the zombies: a dead one is listed until its parent, mostly init, has heard of it. */
export function living(processes: readonly VmProcess[]): VmProcess[] {
  return processes.filter(({ state }) => state !== "Z");
}
