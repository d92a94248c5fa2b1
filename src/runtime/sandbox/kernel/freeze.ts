import { processStartTime, readStat } from "./procfs.ts";
import { sendSignal } from "./tree.ts";

/** Looks for processes that came while others were stopped. */
const MAX_ROUNDS = 20;

/** A process that is busy in the kernel stops when it comes back; it is not waited for any longer. */
const STOP_TIMEOUT_MS = 50;
const PAUSE_MS = 1;

const STOPPED = ["T", "t", "Z", "X"];

/**
 * Stops processes until no new one turns up. Parents are stopped before their children and woken after them, so that
 * none learns of the other's stop.
 *
 * @param find host pids, parents first
 * @returns lets those go on that had not been stopped before
 */
export async function freezeAll(find: () => number[]): Promise<() => void> {
  const seen = new Set<number>();
  const stopped: { pid: number; startTime: number | undefined }[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const fresh = find().filter((pid) => !seen.has(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) {
      seen.add(pid);
      const startTime = processStartTime(pid);
      if (isStopped(pid)) continue;
      if (sendSignal(pid, "SIGSTOP")) stopped.push({ pid, startTime });
    }
  }
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while (performance.now() < deadline && !stopped.every(({ pid }) => isStopped(pid))) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return () => {
    for (const { pid, startTime } of stopped.reverse()) {
      // A pid that the kernel has given out again is left alone.
      if (processStartTime(pid) === startTime) sendSignal(pid, "SIGCONT");
    }
  };
}

/** Also of one that has ended. */
function isStopped(pid: number): boolean {
  const state = readStat(pid)?.state;
  return state === undefined || STOPPED.includes(state);
}
