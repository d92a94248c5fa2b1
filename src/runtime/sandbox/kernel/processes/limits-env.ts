import type { Env } from "../../../../api/values.ts";
import type { VmLimits } from "../../../options.ts";

/** Part of the memory that Go's heap may take before its collector works harder. */
const GO_HEAP_PART = 0.9;

/** Variables for runtimes that do not read the limits of their cgroup: Go before 1.25, and Python. */
export function limitsEnv({ memoryBytes, cpus }: Pick<VmLimits, "memoryBytes" | "cpus">): Env {
  const count = cpus === undefined ? undefined : String(Math.max(1, Math.ceil(cpus)));
  return {
    GOMEMLIMIT: String(Math.floor(memoryBytes * GO_HEAP_PART)),
    ...(count !== undefined && { GOMAXPROCS: count, PYTHON_CPU_COUNT: count }),
  };
}
