import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { childrenOf, descendants, innermostPid, processStartTime, readStat } from "./procfs.ts";
import { hasTag } from "./slack-tag.ts";

/**
 * Attempts to kill a tree that forks as fast as it is killed.
 * @unit rounds
 * @past The remaining processes stay in the VM.
 */
const MAX_KILL_ROUNDS = 200;
const MAX_SIGNAL_ROUNDS = 20;
const ROUND_PAUSE_MS = 1;

/** Empty rounds before a tree counts as gone: an orphan has no parent for a moment, and is not found then. */
const QUIET_ROUNDS = 3;

/**
 * Lists the host pids of all processes that a command started: its descendants, the daemons among init's children with
 * its tag, and their descendants.
 */
export function commandTree(leader: number | undefined, initPid: number, tag: number): number[] {
  const daemons = childrenOf(initPid).filter((pid) => hasTag(pid, tag));
  const roots = leader === undefined ? daemons : [leader, ...daemons];
  return [...new Set(roots.flatMap(descendants))].filter(isAlive);
}

/**
 * Lists the host pids of a command, of all processes below `roots` with its tag, and of their descendants, which may
 * have set their own timer slack.
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

/** Maps the children of `parents` by their pids inside the VM. */
export function childrenByInnerPid(parents: readonly number[]): Map<number, Child> {
  const found = new Map<number, Child>();
  for (const hostPid of parents.flatMap((parent) => childrenOf(parent))) {
    const startTime = processStartTime(hostPid);
    const pid = innermostPid(hostPid);
    if (pid !== undefined && startTime !== undefined) found.set(pid, { hostPid, startTime });
  }
  return found;
}

/** Lists the host pids of the living descendants of a process. */
export function everythingBelow(root: number): number[] {
  return descendants(root).filter((pid) => pid !== root && isAlive(pid));
}

function isAlive(pid: number): boolean {
  const state = readStat(pid)?.state;
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Kills processes until `find` finds no more. */
export async function killAll(find: () => number[]): Promise<void> {
  let quietRounds = 0;
  for (let round = 0; round < MAX_KILL_ROUNDS && quietRounds < QUIET_ROUNDS; round++) {
    const pids = stopAll(find);
    quietRounds = pids.length === 0 ? quietRounds + 1 : 0;
    for (const pid of pids) sendSignal(pid, "SIGKILL");
    await delay(ROUND_PAUSE_MS);
  }
}

/** Signals processes until `find` finds no new one. @returns their host pids */
export function signalAll(find: () => number[], signal: number): number[] {
  const signalled = new Set<number>();
  for (let round = 0; round < MAX_SIGNAL_ROUNDS; round++) {
    const fresh = find().filter((pid) => !signalled.has(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      sendSignal(pid, signal);
      signalled.add(pid);
    }
  }
  return [...signalled];
}

/**
 * Stops processes until no new one appears. A stopped process cannot fork. Killing at once would free room below the
 * VM's process limit, which the other processes would fill with children.
 */
function stopAll(find: () => number[]): number[] {
  return signalAll(find, constants.signals.SIGSTOP);
}

/** Sends a signal. @returns `false` if the process is gone, or the server may not signal it */
export function sendSignal(pid: number, signal: NodeJS.Signals | number): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    // A root server without CAP_KILL may not signal the users of VMs.
    if (["ESRCH", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
