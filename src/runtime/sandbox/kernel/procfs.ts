import { readdirSync, readFileSync } from "node:fs";

/** Kernel clock ticks a second in /proc; USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface ProcessStat {
  /** The kernel's short name. */
  command: string;
  state: string;
  ppid: number;
  /** Process id of the session's leader. */
  session: number;
  /** CPU of the process and of the children it has waited for, in milliseconds. */
  cpuMs: number;
  /** Clock ticks after boot; with the pid it names a process for good. */
  startTime: number;
}

/** A file of procfs, or `undefined` once the process is gone or where it may not be read. */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Parses /proc/PID/stat; the name may hold spaces and parentheses. */
export function parseStat(text: string): ProcessStat {
  const nameEnd = text.lastIndexOf(")");
  const fields = text.slice(nameEnd + 2).split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return {
    command: text.slice(text.indexOf("(") + 1, nameEnd),
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    session: Number(fields[3]),
    cpuMs: (ticks * 1000) / TICKS_PER_SECOND,
    startTime: Number(fields[19]),
  };
}

export function readStat(pid: number): ProcessStat | undefined {
  const text = readProc(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

export function processStartTime(pid: number): number | undefined {
  return readStat(pid)?.startTime;
}

/** Children of a process, whichever of its threads forked them; one that starts meanwhile may be missed. */
export function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((tid) => {
    const text = readProc(`/proc/${pid}/task/${tid}/children`);
    return text === undefined || text === "" ? [] : text.trim().split(" ").map(Number);
  });
}

/** Host pids of a process and of all that descends from it by parentage. */
export function descendants(root: number): number[] {
  const found = [root];
  for (let index = 0; index < found.length; index++) found.push(...childrenOf(found[index] as number));
  return found;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    // The process is gone.
    return [];
  }
}

/** A field of /proc/PID/status, without its name. */
export function statusField(status: string, name: string): string | undefined {
  const start = status.startsWith(`${name}:`) ? 0 : status.indexOf(`\n${name}:`) + 1;
  if (start === 0 && !status.startsWith(`${name}:`)) return undefined;
  const end = status.indexOf("\n", start);
  return status.slice(start + name.length + 1, end === -1 ? undefined : end).trim();
}

/** The largest resident set that a process has had, in bytes. */
export function peakRss(pid: number): number {
  const status = readProc(`/proc/${pid}/status`);
  const kib = status === undefined ? undefined : statusField(status, "VmHWM");
  return kib === undefined ? 0 : Number.parseInt(kib, 10) * 1024;
}

/** The pid of a process in the innermost of its pid namespaces. */
export function innermostPid(pid: number): number | undefined {
  const status = readProc(`/proc/${pid}/status`);
  const pids = status === undefined ? undefined : statusField(status, "NSpid");
  return pids === undefined ? undefined : Number(pids.split(/\s+/).at(-1));
}
