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
