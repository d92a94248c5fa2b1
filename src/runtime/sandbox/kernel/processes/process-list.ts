import { readFileSync } from "node:fs";
import type { VmProcess } from "../../../../api/methods/process-types.ts";
import { pause } from "../../../../base/pace.ts";
import { VM_USER } from "../../vm-layout.ts";
import {
  MAX_LISTED_ARGUMENTS,
  MAX_LISTED_BYTES,
  MAX_PROCESS_ARGUMENTS,
  MAX_PROCESS_ARGUMENTS_BYTES,
} from "../limits.ts";
import type { ProcessLook } from "../procfs/process-reads.ts";
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
export async function listProcesses(
  procFd: number,
  hostUid: number,
  look: ProcessLook,
): Promise<ListedProcess[]> {
  const processes: ListedProcess[] = [];
  const space: Space = { bytes: MAX_LISTED_BYTES, args: MAX_LISTED_ARGUMENTS };
  // The oldest process usually comes first, so that its arguments are never left out.
  for (const pid of pidsIn(`/proc/self/fd/${procFd}`)) {
    const turn = pause();
    if (turn !== null) await turn;
    const folder = `/proc/self/fd/${procFd}/${pid}`;
    const process = readProcess(folder, pid, hostUid);
    if (process !== undefined)
      processes.push({ ...process, args: await readArguments(`${folder}/cmdline`, space, look) });
  }
  return processes;
}

function readProcess(folder: string, pid: number, hostUid: number): Omit<ListedProcess, "args"> | undefined {
  try {
    const stat = parseStat(readFileSync(`${folder}/stat`, "utf8"));
    // Dead and reaped: it is on its way out of the table.
    if (stat.state === "X") return undefined;
    const status = readFileSync(`${folder}/status`, "utf8");
    const uid = Number.parseInt(statusField(status, "Uid") ?? "", 10);
    return {
      pid,
      ppid: stat.ppid,
      command: stat.command,
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
async function readArguments(path: string, space: Space, look: ProcessLook): Promise<string[]> {
  const bytes = await look.readStart(path, Math.min(MAX_PROCESS_ARGUMENTS_BYTES, space.bytes));
  const text = bytes?.toString() ?? "";
  // Each argument ends with a NUL, except for an argument that was cut.
  if (text === "") return [];
  const whole = text.endsWith("\0") ? text.slice(0, -1) : text;
  const args = whole.split("\0", Math.min(MAX_PROCESS_ARGUMENTS, space.args));
  space.bytes -= bytes?.length ?? 0;
  space.args -= args.length;
  return args;
}
