import { readdirSync, readFileSync } from "node:fs";
import type { VmProcess } from "../../../api/types.ts";
import { VM_USER } from "../sandbox.ts";
import { parseStat, statusField } from "./procfs.ts";

/** Reading goes on for this long before the event loop gets its turn. */
const SLICE_MS = 5;

/**
 * Every process of a VM, read through a descriptor of the VM's own procfs: pids are those inside, uids those of the
 * reader's namespace. `hostUid` is the VM's user there.
 */
export async function listProcesses(procFd: number, hostUid: number): Promise<VmProcess[]> {
  const processes: VmProcess[] = [];
  let sliceEnd = performance.now() + SLICE_MS;
  for (const name of readdirSync(`/proc/self/fd/${procFd}`)) {
    if (!/^\d+$/.test(name)) continue;
    const process = readProcess(procFd, name, hostUid);
    if (process !== undefined) processes.push(process);
    if (performance.now() > sliceEnd) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
  return processes.sort((a, b) => a.pid - b.pid);
}

function readProcess(procFd: number, pid: string, hostUid: number): VmProcess | undefined {
  const folder = `/proc/self/fd/${procFd}/${pid}`;
  try {
    const stat = parseStat(readFileSync(`${folder}/stat`, "utf8"));
    const status = readFileSync(`${folder}/status`, "utf8");
    const args = readFileSync(`${folder}/cmdline`, "utf8").split("\0").slice(0, -1);
    const uid = Number.parseInt(statusField(status, "Uid") ?? "", 10);
    return {
      pid: Number(pid),
      ppid: stat.ppid,
      command: stat.command,
      args,
      user: uid === hostUid ? VM_USER : String(uid),
      state: stat.state,
      rss: Number.parseInt(statusField(status, "VmRSS") ?? "0", 10) * 1024,
    };
  } catch {
    // It ended while it was read.
    return undefined;
  }
}
