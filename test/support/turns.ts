import { cpuMs } from "./cpu.ts";

/** Longer than a slice of work, in milliseconds. */
const WORK_MS = 10;

/** Holds the event loop for longer than a slice. */
export function work(): void {
  const end = performance.now() + WORK_MS;
  while (performance.now() < end);
}

/** Resolves when a slice that earlier work has used up is over. */
export async function freshSlice(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Counts the pieces of work done in each turn of the event loop. */
export async function countPerTurn(start: (done: () => void) => Promise<unknown>): Promise<number[]> {
  const counts: number[] = [];
  let count = 0;
  let next = setImmediate(turn);
  function turn() {
    counts.push(count);
    count = 0;
    next = setImmediate(turn);
  }
  await start(() => {
    count += 1;
  });
  clearImmediate(next);
  return [...counts, count];
}

/** Counts the turns that the event loop takes during work. */
export async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  // The last count is of the turn that the work ends in.
  return (await countPerTurn(work)).length - 1;
}

/** Returns the most CPU time that this thread took between two turns of the event loop, in milliseconds. */
export async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  const turns = watchTurns();
  await new Promise((resolve) => setImmediate(resolve));
  await work();
  return await turns.stop();
}

/** Watches the CPU time of each turn of the event loop. Time of other processes does not count. */
export function watchTurns(): { stop(): Promise<number> } {
  let longest = 0;
  let running = true;
  let last = cpuMs();
  const turned = () => {
    const now = cpuMs();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setTimeout(turned, 0);
  };
  turned();
  return {
    async stop() {
      await new Promise((resolve) => setTimeout(resolve, 20));
      running = false;
      return longest;
    },
  };
}
