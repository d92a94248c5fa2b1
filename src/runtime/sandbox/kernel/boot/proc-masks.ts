import { existsSync } from "node:fs";

/*
 * Parts of /proc that tell about the host. The list is Docker's, and the files of the kernel's command line, of disks and of
 * users' keys. A read of `locks` keeps every file lock of the host waiting. All of /proc is read-only in a VM.
 */

const HIDDEN = [
  "acpi",
  "asound",
  "cmdline",
  "diskstats",
  "interrupts",
  "kcore",
  "key-users",
  "keys",
  "latency_stats",
  "locks",
  "sched_debug",
  "scsi",
  "timer_list",
  "timer_stats",
];

let hidden: readonly string[] | undefined;

/** Files and folders of this kernel's /proc that a VM sees empty. */
export function hiddenInProc(): readonly string[] {
  hidden ??= HIDDEN.map((name) => `/proc/${name}`).filter((path) => existsSync(path));
  return hidden;
}
