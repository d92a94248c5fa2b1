import { readdirSync, readlinkSync } from "node:fs";
import { pause, visitAll } from "../../../../base/pace.ts";
import type { InputWait } from "../../processes.ts";
import { MAX_EXAMINED_THREADS } from "../limits.ts";
import { awaitedDescriptors } from "../procfs/blocked-call.ts";
import type { ProcessLook } from "../procfs/process-reads.ts";
import { type ProcessStat, parseStat, pidsIn, readProc, statusField } from "../procfs/procfs.ts";

/** Major number of terminals in /dev/pts. */
const PTS_MAJOR = 136;

/** Descriptors with which a program wakes itself. */
const OWN_WAKEUPS = ["anon_inode:[eventfd]", "anon_inode:[signalfd]"];

interface Inputs {
  /** Pipes to the stdin of processes that the server holds open, by their names in /proc/PID/fd. */
  stdins: ReadonlyMap<string, number>;
  /** Pids of the programs for which the server has opened terminals. */
  terminals: ReadonlySet<number>;
}

interface Candidate {
  pid: number;
  stat: ProcessStat;
  /** Names of its input in /proc/PID/fd. */
  names: readonly string[];
  of: number | undefined;
}

/**
 * Finds the processes that wait for input of their terminal, of whose foreground they are, or of a stdin that the server
 * holds open. A process that waits for something else too, or for a limited time, goes on without input.
 */
export async function findInputWaits(
  procFd: number,
  { stdins, terminals }: Inputs,
  look: ProcessLook,
): Promise<InputWait[]> {
  const candidates: Candidate[] = [];
  const owners = new Map<number, number>();
  await visitAll(pidsIn(`/proc/self/fd/${procFd}`), (pid) => {
    const folder = folderOf(procFd, pid);
    const text = readProc(`${folder}/stat`);
    if (text === undefined) return;
    const stat = parseStat(text);
    if (terminals.has(pid)) owners.set(stat.terminal, pid);
    if (stat.state !== "S") return;
    const stdin = stdins.size === 0 ? undefined : linkOf(`${folder}/fd/0`);
    const spawned = stdin === undefined ? undefined : stdins.get(stdin);
    if (stdin !== undefined && spawned !== undefined) {
      candidates.push({ pid, stat, names: [stdin], of: spawned });
    } else if (stat.terminal !== 0 && stat.group === stat.foregroundGroup) {
      candidates.push({ pid, stat, names: ["/dev/tty", ptsName(stat.terminal)], of: undefined });
    }
  });
  const waits: InputWait[] = [];
  const room = { threads: MAX_EXAMINED_THREADS, look };
  for (const { pid, stat, names, of = owners.get(stat.terminal) } of candidates) {
    const runs = await runsBeforeWait(folderOf(procFd, pid), names, room);
    if (runs !== undefined) waits.push({ pid, command: stat.command, of, runs });
  }
  return waits;
}

/** @returns times that the waiting thread had the CPU; `undefined` if the process does not wait for input */
async function runsBeforeWait(
  folder: string,
  names: readonly string[],
  room: { threads: number; look: ProcessLook },
): Promise<number | undefined> {
  let runs: number | undefined;
  for (const thread of threadsIn(folder)) {
    room.threads -= 1;
    if (room.threads < 0) return undefined;
    const turn = pause();
    if (turn !== null) await turn;
    const task = `${folder}/task/${thread}`;
    const awaited = await awaitedDescriptors(task, room.look);
    if (awaited === "asleep") continue;
    if (typeof awaited === "string") return undefined;
    const links = awaited.map((fd) => ({ fd, link: linkOf(`${folder}/fd/${fd}`) ?? "" }));
    const others = links.filter(({ link }) => !names.includes(link));
    if (others.some(({ fd, link }) => !OWN_WAKEUPS.includes(link) && !isOwnPipe(folder, fd, link)))
      return undefined;
    if (links.length > others.length) runs = timesRun(task);
  }
  return runs;
}

/** `true` for a pipe of which the process has both ends, which pipe(2) has made one after the other. */
function isOwnPipe(folder: string, fd: number, link: string): boolean {
  return link.startsWith("pipe:") && linkOf(`${folder}/fd/${fd + 1}`) === link;
}

function timesRun(task: string): number | undefined {
  const status = readProc(`${task}/status`);
  return status === undefined ? undefined : Number(statusField(status, "voluntary_ctxt_switches"));
}

function threadsIn(folder: string): string[] {
  try {
    return readdirSync(`${folder}/task`);
  } catch {
    // The process has ended.
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // The process has ended, or has no such descriptor.
    return undefined;
  }
}

function folderOf(procFd: number, pid: number): string {
  return `/proc/self/fd/${procFd}/${pid}`;
}

/** Returns the path of a terminal by its device number, whose bits new_encode_dev of the kernel arranges. */
function ptsName(device: number): string {
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  return ((device >>> 8) & 0xfff) === PTS_MAJOR ? `/dev/pts/${minor}` : "/dev/tty";
}
