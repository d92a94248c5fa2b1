import { childrenOf, descendants, innermostPid, processStartTime, readStat } from "./procfs.ts";
import { hasTag } from "./tag.ts";

/** A process that forks as fast as it is killed is stopped after this many rounds by the VM's process limit. */
const MAX_KILL_ROUNDS = 200;
const MAX_STOP_ROUNDS = 20;
const ROUND_PAUSE_MS = 1;

/** An orphan is nobody's child for a moment: only several empty rounds say that nothing is left. */
const QUIET_ROUNDS = 3;

/**
 * Host pids of everything that a command started: its descendants, and the daemons among init's children that bear
 * its tag, with theirs.
 */
export function commandTree(leader: number, initPid: number, tag: number): number[] {
  const daemons = childrenOf(initPid).filter((pid) => hasTag(pid, tag));
  return [...new Set([leader, ...daemons].flatMap(descendants))].filter(isAlive);
}

/**
 * Host pids of a command, of everything below `roots` that bears its tag, and of what descends from them: a program may
 * have set its own timer slack.
 */
export function taggedTree(command: Child | undefined, roots: readonly number[], tag: number): number[] {
  const own = command !== undefined && processStartTime(command.hostPid) === command.startTime;
  const marked = roots.flatMap((root) => descendants(root)).filter((pid) => hasTag(pid, tag));
  return [...new Set([...(own ? [command.hostPid] : []), ...marked].flatMap(descendants))].filter(isAlive);
}

/** A process that may end at any time. */
export interface Child {
  hostPid: number;
  startTime: number;
}

/** Children of `parents`, by the pids that they have inside the VM. */
export function childrenByInnerPid(parents: readonly number[]): Map<number, Child> {
  const found = new Map<number, Child>();
  for (const hostPid of parents.flatMap((parent) => childrenOf(parent))) {
    const startTime = processStartTime(hostPid);
    const pid = innermostPid(hostPid);
    if (pid !== undefined && startTime !== undefined) found.set(pid, { hostPid, startTime });
  }
  return found;
}

/** Host pids of everything alive that descends from a process. */
export function everythingBelow(root: number): number[] {
  return descendants(root).filter((pid) => pid !== root && isAlive(pid));
}

function isAlive(pid: number): boolean {
  const state = readStat(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Kills until nothing is left to kill. */
export async function killAll(find: () => number[]): Promise<void> {
  let quietRounds = 0;
  for (let round = 0; round < MAX_KILL_ROUNDS && quietRounds < QUIET_ROUNDS; round++) {
    const pids = stopAll(find);
    quietRounds = pids.length === 0 ? quietRounds + 1 : 0;
    for (const pid of pids) sendSignal(pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, ROUND_PAUSE_MS));
  }
}

/**
 * Stops until nothing new turns up. What cannot run cannot fork; to kill at once would make room below the VM's
 * process limit for the children of those that come next.
 */
function stopAll(find: () => number[]): number[] {
  const stopped = new Set<number>();
  for (let round = 0; round < MAX_STOP_ROUNDS; round++) {
    const fresh = find().filter((pid) => !stopped.has(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      sendSignal(pid, "SIGSTOP");
      stopped.add(pid);
    }
  }
  return [...stopped];
}

/** `false` once the process is gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals | number): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
