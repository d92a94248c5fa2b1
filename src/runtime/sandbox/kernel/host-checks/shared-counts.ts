import { totalmem } from "node:os";
import { readProc } from "../procfs/procfs.ts";
import { type Check, wanted } from "./check.ts";

/** A number that the kernel counts for the whole host. A VM can take one for each `bytes` of its memory. */
interface SharedCount {
  sysctl: string;
  what: string;
  bytes: number;
}

const SHARED_COUNTS: readonly SharedCount[] = [
  // A mapping holds its file without a descriptor: `limits.openFiles` does not bound them.
  { sysctl: "fs.file-max", what: "open files", bytes: 256 },
  // A closed connection whose bytes the other side does not take.
  { sysctl: "net.ipv4.tcp_max_orphans", what: "closed TCP connections with unsent bytes", bytes: 4096 },
];

/** The largest number that `net.ipv4.tcp_max_orphans` takes. */
const MOST = 2 ** 31 - 1;

/** Past these counts the kernel refuses files to all programs of the host, and resets connections. The memory of VMs must end first. */
export function checkSharedCounts(read: (path: string) => string | undefined = readProc): Check {
  const fixes: string[] = [];
  const short: string[] = [];
  for (const { sysctl, what, bytes } of SHARED_COUNTS) {
    const text = read(`/proc/sys/${sysctl.replaceAll(".", "/")}`);
    const needed = Math.min(MOST, Math.ceil(totalmem() / bytes));
    // A container may not show it.
    if (text === undefined || Number(text) >= needed) continue;
    short.push(`all ${Number(text)} ${what}`);
    fixes.push(`On the host: sysctl ${sysctl}=${needed}`);
  }
  return wanted({
    name: "counts of the host",
    isThere: short.length === 0,
    detail: short.length === 0 ? "the memory of VMs ends first" : `VMs can take ${short.join(" and ")}`,
    fixes,
  });
}
