/** Limits of recordings. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../../api/units.ts";

/**
 * Recordings of one VM.
 * @unit recordings
 * @past The oldest recording that has ended is deleted. If all are running, the call is refused.
 * @code limit_exceeded
 */
export const MAX_RECORDINGS = 32;

/**
 * Size of one recording.
 * @unit bytes
 * @past Further output is not recorded. The recording says `truncated`.
 */
export const MAX_RECORDING_BYTES = 8 * MIB;

/** Most text of a recording that is stored as one piece: whole lines. */
export const PIECE_BYTES = 64 * 1024;

/** Text of one answer. */
export const MAX_PART_BYTES = 4 * MIB;

/** Time until a recording stores what it has. */
export const FLUSH_MS = 1_000;

/** Characters of a command line in a recording. */
export const MAX_RECORDED_COMMAND = 1_000;
