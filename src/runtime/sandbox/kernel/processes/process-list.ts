import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import type { VmProcess } from "../../../../api/methods/process-types.ts";
import { visitAll } from "../../../../base/pace.ts";
import { VM_USER } from "../../vm-layout.ts";
import {
  MAX_LISTED_ARGUMENTS,
  MAX_LISTED_BYTES,
  MAX_PROCESS_ARGUMENTS,
  MAX_PROCESS_ARGUMENTS_BYTES,
} from "../limits.ts";
import { parseStat, pidsIn, statusField } from "../procfs/procfs.ts";

type ListedProcess = Omit<VmProcess, "waitingForInput">;

/** Space that is left in one list. */
interface Space {
  bytes: number;
  args: number;
}

/**
 * Lists every process of a VM through a descriptor of the VM's own procfs, which shows the pids inside the VM and the
 * uids of the reader's namespace.
 *
 * @param hostUid host uid of the VM's user
 */
export async function listProcesses(procFd: number, hostUid: number): Promise<ListedProcess[]> {
  const processes: ListedProcess[] = [];
  const space: Space = { bytes: MAX_LISTED_BYTES, args: MAX_LISTED_ARGUMENTS };
  // The oldest process usually comes first, so that its arguments are never left out.
  await visitAll(pidsIn(`/proc/self/fd/${procFd}`), (pid) => {
    const process = readProcess(procFd, pid, hostUid, space);
    if (process !== undefined) processes.push(process);
  });
  return processes;
}

function readProcess(procFd: number, pid: number, hostUid: number, space: Space): ListedProcess | undefined {
  const folder = `/proc/self/fd/${procFd}/${pid}`;
  try {
    const stat = parseStat(readFileSync(`${folder}/stat`, "utf8"));
    // Dead and reaped: it is on its way out of the table.
    if (stat.state === "X") return undefined;
    const status = readFileSync(`${folder}/status`, "utf8");
    const args = readArguments(`${folder}/cmdline`, space);
    const uid = Number.parseInt(statusField(status, "Uid") ?? "", 10);
    return {
      pid,
      ppid: stat.ppid,
      command: stat.command,
      args,
      user: uid === hostUid ? VM_USER : String(uid),
      state: stat.state,
      rss: Number.parseInt(statusField(status, "VmRSS") ?? "0", 10) * 1024,
      cpuMs: stat.cpuMs,
    };
  } catch {
    // The process ended during the read.
    return undefined;
  }
}

/** Reads a command line up to the limits. A program can make a command line of 6 MB of NULs at almost no cost. */
function readArguments(path: string, space: Space): string[] {
  const target = Buffer.allocUnsafe(Math.min(MAX_PROCESS_ARGUMENTS_BYTES, space.bytes));
  const fd = openSync(path, "r");
  let length = 0;
  try {
    // The kernel returns a long command line page by page.
    for (let count = -1; count !== 0 && length < target.length; length += count)
      count = readSync(fd, target, length, target.length - length, length);
  } finally {
    closeSync(fd);
  }
  const text = target.toString("utf8", 0, length);
  // Each argument ends with a NUL, except for an argument that was cut.
  if (text === "") return [];
  const whole = text.endsWith("\0") ? text.slice(0, -1) : text;
  const args = whole.split("\0", Math.min(MAX_PROCESS_ARGUMENTS, space.args));
  space.bytes -= length;
  space.args -= args.length;
  return args;
}
