import { Semaphore } from "./semaphore.ts";

/** Values that are encoded at the same time. Each is in memory twice. */
const MAX_AT_ONCE = 2;

/**
 * Turns of large results that are encoded for clients. Work that makes such results waits for a turn before it begins: more of them
 * would only take memory.
 */
export const encodings = new Semaphore(MAX_AT_ONCE);
