import { existsSync } from "node:fs";
import type { FilteredArch } from "../../system-calls.ts";
import { type SeccompPolicy, seccompFilter } from "./filter.ts";

/** The file is there if the kernel is built with CONFIG_SECCOMP_FILTER. */
const KERNEL_SUPPORT = "/proc/sys/kernel/seccomp/actions_avail";

interface SeccompSupport {
  /** For the banner: the filter, or the reason why it is missing. */
  description: string;
  /** In hexadecimal digits; `""` for none. */
  filter: string;
}

/** The filter of a policy, if this host can install it. */
export function seccompSupport(policy: SeccompPolicy): SeccompSupport {
  if (policy === "none") return { description: "no seccomp filter by option", filter: "" };
  if (!existsSync(KERNEL_SUPPORT))
    return { description: "no seccomp filter: the kernel has none", filter: "" };
  // Elsewhere no VM runs.
  return { description: "seccomp filter", filter: seccompFilter(policy, process.arch as FilteredArch) };
}
