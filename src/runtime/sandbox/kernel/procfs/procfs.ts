import { readdirSync, readFileSync } from "node:fs";

/** Kernel clock ticks per second in /proc. USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface ProcessStat {
  /** Short name that the kernel keeps of the program. */
  command: string;
  state: string;
  ppid: number;
  /** Pid of the process group's leader. */
  group: number;
  /** Pid of the session's leader. */
  session: number;
  /** Device number of the terminal; 0 without one. */
  terminal: number;
  /** Process group in the foreground of the terminal; -1 without one. */
  foregroundGroup: number;
  /** CPU time of the process and of the children that it has waited for, in milliseconds. */
  cpuMs: number;
  /** Start of the process in clock ticks after boot. Pid and start time together never name another process. */
  startTime: number;
}

/** Reads a file of procfs. @returns `undefined` if the process is gone or the file may not be read */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Lists the pids of the procfs at `folder` in ascending order: usually the oldest process first. */
export function pidsIn(folder: string): number[] {
  const names = readdirSync(folder).filter((name) => /^\d+$/.test(name));
  return names.map(Number).sort((a, b) => a - b);
}

/** Parses /proc/PID/stat. The program's name may contain spaces and parentheses. */
export function parseStat(text: string): ProcessStat {
  const nameEnd = text.lastIndexOf(")");
  const fields = text.slice(nameEnd + 2).split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return {
    command: text.slice(text.indexOf("(") + 1, nameEnd),
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    terminal: Number(fields[4]),
    foregroundGroup: Number(fields[5]),
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

/** Lists the children of all threads of a process. A child that starts during the call may be missing. */
export function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((tid) => {
    const text = readProc(`/proc/${pid}/task/${tid}/children`);
    return text === undefined || text === "" ? [] : text.trim().split(" ").map(Number);
  });
}

/** Lists the host pids of a process and of its children's tree. */
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

/** Returns the value of a field of /proc/PID/status. */
export function statusField(status: string, name: string): string | undefined {
  const start = status.startsWith(`${name}:`) ? 0 : status.indexOf(`\n${name}:`) + 1;
  if (start === 0 && !status.startsWith(`${name}:`)) return undefined;
  const end = status.indexOf("\n", start);
  return status.slice(start + name.length + 1, end === -1 ? undefined : end).trim();
}

/** Returns the pid of a process in its innermost pid namespace. */
export function innermostPid(pid: number): number | undefined {
  const status = readProc(`/proc/${pid}/status`);
  const pids = status === undefined ? undefined : statusField(status, "NSpid");
  return pids === undefined ? undefined : Number(pids.split(/\s+/).at(-1));
}
