import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import {
  MAX_LISTED_ARGUMENTS,
  MAX_LISTED_BYTES,
  MAX_PROCESS_ARGUMENTS,
  MAX_PROCESS_ARGUMENTS_BYTES,
} from "../../../api/limits.ts";
import type { VmProcess } from "../../../api/types.ts";
import { VM_USER } from "../sandbox.ts";
import { parseStat, statusField } from "./procfs.ts";

/** Reading goes on for this long before the event loop gets its turn. */
const SLICE_MS = 5;

/** What one list may hold yet. */
interface Room {
  bytes: number;
  args: number;
}

/**
 * Every process of a VM, read through a descriptor of the VM's own procfs: pids are those inside, uids those of the
 * reader's namespace. `hostUid` is the VM's user there.
 */
export async function listProcesses(procFd: number, hostUid: number): Promise<VmProcess[]> {
  const processes: VmProcess[] = [];
  const room: Room = { bytes: MAX_LISTED_BYTES, args: MAX_LISTED_ARGUMENTS };
  let sliceEnd = performance.now() + SLICE_MS;
  for (const pid of pidsOf(procFd)) {
    const process = readProcess(procFd, pid, hostUid, room);
    if (process !== undefined) processes.push(process);
    if (performance.now() > sliceEnd) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
  return processes;
}

/** The oldest first, unless pids have begun anew: theirs are the arguments that are never left out. */
function pidsOf(procFd: number): number[] {
  const names = readdirSync(`/proc/self/fd/${procFd}`).filter((name) => /^\d+$/.test(name));
  return names.map(Number).sort((a, b) => a - b);
}

function readProcess(procFd: number, pid: number, hostUid: number, room: Room): VmProcess | undefined {
  const folder = `/proc/self/fd/${procFd}/${pid}`;
  try {
    const stat = parseStat(readFileSync(`${folder}/stat`, "utf8"));
    const status = readFileSync(`${folder}/status`, "utf8");
    const args = readArguments(`${folder}/cmdline`, room);
    const uid = Number.parseInt(statusField(status, "Uid") ?? "", 10);
    return {
      pid,
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

/** Command lines of 6 MB, all of them NULs, cost a program next to nothing: what does not fit is left out. */
function readArguments(path: string, room: Room): string[] {
  const target = Buffer.allocUnsafe(Math.min(MAX_PROCESS_ARGUMENTS_BYTES, room.bytes));
  const fd = openSync(path, "r");
  let length = 0;
  try {
    // A page at a time is what the kernel hands over of a long one.
    for (let count = -1; count !== 0 && length < target.length; length += count)
      count = readSync(fd, target, length, target.length - length, length);
  } finally {
    closeSync(fd);
  }
  const text = target.toString("utf8", 0, length);
  // Each argument ends with a NUL, but for one that was cut.
  if (text === "") return [];
  const whole = text.endsWith("\0") ? text.slice(0, -1) : text;
  const args = whole.split("\0", Math.min(MAX_PROCESS_ARGUMENTS, room.args));
  room.bytes -= length;
  room.args -= args.length;
  return args;
}
