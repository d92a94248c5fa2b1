/** Longest run of file work before the event loop turns, in milliseconds. */
const SLICE_MS = 5;

/** Pieces of work that go on after a turn: few enough to be done long before the slice ends. */
const RESUMED_PER_TURN = 64;

/** A slice is under way: it ends with the turn of the event loop that it began in. */
let slicing = false;
let sliceStart = 0;
const waiting: (() => void)[] = [];

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
  const isSpent = slicing && performance.now() - sliceStart >= SLICE_MS;
  if (isSpent || waiting.length > 0) return new Promise((resolve) => waiting.push(resolve));
  if (!slicing) startSlice();
  return null;
}

function startSlice(): void {
  slicing = true;
  sliceStart = performance.now();
  setImmediate(endSlice);
}

function endSlice(): void {
  slicing = false;
  if (waiting.length === 0) return;
  startSlice();
  for (const resume of waiting.splice(0, RESUMED_PER_TURN)) resume();
}
