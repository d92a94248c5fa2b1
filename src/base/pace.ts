/** Maximum time of file work before the event loop turns, in milliseconds. */
const SLICE_MS = 3;

/** `true` during a slice. A slice ends with the turn of the event loop in which it began. */
let slicing = false;
let sliceStart = 0;

/** Paused tasks. `due` is a stack with the oldest task on top; `waiting` holds later arrivals, oldest first. */
let due: (() => void)[] = [];
let waiting: (() => void)[] = [];

/**
 * Yields to the event loop between pieces of file work. All file work shares one slice of time, so a thousand
 * concurrent calls block the event loop no longer than one.
 *
 * @returns `null` if the caller may continue at once, else a promise to await
 * @example
 * await pause();
 * return lstatSync(path);
 */
export function pause(): Promise<void> | null {
  if (hasPausedTasks() || isSpent()) return new Promise((resolve) => waiting.push(resolve));
  if (!slicing) startSlice();
  return null;
}

/** Visits items one by one and yields to the event loop in between. */
export async function visitAll<Item>(items: Iterable<Item>, visit: (item: Item) => void): Promise<void> {
  for (const item of items) {
    const turn = pause();
    if (turn !== null) await turn;
    visit(item);
  }
}

function hasPausedTasks(): boolean {
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
  if (!hasPausedTasks()) return;
  startSlice();
  resumeNext();
}

/** Resumes paused tasks one by one, each in its own microtask, until the slice ends. */
function resumeNext(): void {
  if (due.length === 0) {
    due = waiting.reverse();
    waiting = [];
  }
  due.pop()?.();
  if (!hasPausedTasks()) return;
  queueMicrotask(() => {
    if (!isSpent()) resumeNext();
  });
}
