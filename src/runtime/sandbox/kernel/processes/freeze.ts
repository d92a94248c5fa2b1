import { setTimeout as delay } from "node:timers/promises";
import { sendSignal } from "../procfs/process-trees.ts";
import { processStartTime, readStat } from "../procfs/procfs.ts";

/** Searches for processes that started while others were stopped. */
const MAX_ROUNDS = 20;

/** Time for processes to stop. A process in a long system call stops when it returns. */
const STOP_TIMEOUT_MS = 50;
const PAUSE_MS = 1;

const STOPPED = ["T", "t", "Z", "X"];

/**
 * Stops processes until no new one appears. Stops parents before their children and continues them after, so that no
 * parent notices the stop.
 *
 * @param find lists host pids, parents first
 * @returns a function that continues the processes that this call stopped
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
    await delay(PAUSE_MS);
  }
  return () => {
    for (const { pid, startTime } of stopped.reverse()) {
      // The kernel may have given the pid to another process.
      if (processStartTime(pid) === startTime) sendSignal(pid, "SIGCONT");
    }
  };
}

/** `true` also for a process that has ended. */
function isStopped(pid: number): boolean {
  const state = readStat(pid)?.state;
  return state === undefined || STOPPED.includes(state);
}
