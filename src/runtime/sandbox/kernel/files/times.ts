/** Last time of a Date. A program can give a file any time of 64 bits in seconds, which no library of dates takes. */
const MAX_DATE_MS = 8_640_000_000_000_000;

/** Added to a time for utimes(2), which takes seconds as a double, so that the time reads back equal. */
const ROUNDING_MS = 0.0005;

const bounded = (milliseconds: number, least: number): number =>
  Math.min(Math.max(milliseconds, least), MAX_DATE_MS);

/** Converts a time for utimes(2). Node takes a time before 1970 for the time of the call, and the kernel refuses its last ones. */
export const seconds = (milliseconds: number): number => (bounded(milliseconds, 0) + ROUNDING_MS) / 1000;

/** Returns whole milliseconds of a file's time, within those of a Date. */
export const dateMs = (milliseconds: number): number => bounded(Math.floor(milliseconds), -MAX_DATE_MS);
