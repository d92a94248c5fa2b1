/** Longest run of file work before the event loop turns, in milliseconds. */
const SLICE_MS = 3;

/** A slice is under way: it ends with the turn of the event loop that it began in. */
let slicing = false;
let sliceStart = 0;

/** What waits to go on, the last one first; and behind it what has come since, the first one first. */
let due: (() => void)[] = [];
let waiting: (() => void)[] = [];

/**
 * Asks before a piece of file work whether the event loop should turn first. All file work shares one slice of time,
 * so that a thousand calls at once hold the event loop no longer than one.
 *
 * @returns `null` to go on at once, or what to wait for
 * @example
 * await pause();
 * return lstatSync(path);
 */
export function pause(): Promise<void> | null {
  if (isAnyoneWaiting() || isSpent()) return new Promise((resolve) => waiting.push(resolve));
  if (!slicing) startSlice();
  return null;
}

/** Visits items one after the other, so that the event loop turns in between however many they are. */
export async function visitAll<Item>(items: Iterable<Item>, visit: (item: Item) => void): Promise<void> {
  for (const item of items) {
    const turn = pause();
    if (turn !== null) await turn;
    visit(item);
  }
}

function isAnyoneWaiting(): boolean {
  return due.length > 0 || waiting.length > 0;
}

function isSpent(): boolean {
  return slicing && performance.now() - sliceStart >= SLICE_MS;
}

function startSlice(): void {
  slicing = true;
  sliceStart = performance.now();
  setImmediate(endSlice);
}

function endSlice(): void {
  slicing = false;
  if (!isAnyoneWaiting()) return;
  startSlice();
  resumeNext();
}

/** One piece of work after the other, each in a microtask of its own, until the slice ends. */
function resumeNext(): void {
  if (due.length === 0) {
    due = waiting.reverse();
    waiting = [];
  }
  due.pop()?.();
  if (!isAnyoneWaiting()) return;
  queueMicrotask(() => {
    if (!isSpent()) resumeNext();
  });
}
