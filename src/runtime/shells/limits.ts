/** Limits of shells. `npm run docs` writes docs/limits.md from these comments. */

import { KIB, MIB } from "../../api/units.ts";

/**
 * Kept output of one shell.
 * @unit bytes
 * @past The oldest output is dropped. `readShell` says `truncated`.
 */
export const SHELL_SCROLLBACK_BYTES = 256 * KIB;

/**
 * Ended shells that are remembered.
 * @unit shells
 * @past The oldest is forgotten.
 * @code shell_not_found
 */
export const MAX_ENDED_SHELLS = 64;

/**
 * Open shells of one VM.
 * @unit shells
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_OPEN_SHELLS = 64;

/**
 * Input that a terminal has not taken.
 * @unit bytes
 * @past `writeShell` refuses input that would pass it.
 * @code limit_exceeded
 */
export const MAX_PENDING_SHELL_BYTES = 1 * MIB;

/**
 * Lines above the screen that `snapshotShell` draws.
 * @unit lines
 * @past Older lines are left out.
 */
export const SCREEN_LINES = 1_000;

/**
 * Cells of a terminal that `snapshotShell` draws.
 * @unit cells
 * @past The snapshot is refused. Lines above a large screen are left out first.
 * @code limit_exceeded
 */
export const MAX_SCREEN_CELLS = 262_144;

/**
 * Result of `snapshotShell`.
 * @unit bytes
 * @past The snapshot is refused.
 * @code limit_exceeded
 */
export const MAX_SCREEN_BYTES = 4 * MIB;

/**
 * Time to draw one snapshot.
 * @unit ms
 * @past The snapshot is refused.
 * @code limit_exceeded
 */
export const SCREEN_TIMEOUT_MS = 3_000;

/**
 * Repetitions that one escape sequence may ask for in a snapshot.
 * @unit cells
 * @past The snapshot ignores the sequence.
 */
export const MAX_REPEATED_CELLS = 4_096;

/** Drawn screen of one shell that is kept for the next snapshot. */
export const MAX_KEPT_SCREEN_BYTES = 256 * KIB;

/** Output after which a kept screen is drawn again. */
export const FOLD_BYTES = 96 * KIB;

/** Time after a snapshot during which the screen is kept. */
export const SCREEN_KEEP_MS = 10 * 60_000;

/** Changes of a terminal's size that a snapshot takes into account. */
export const MAX_RESIZES = 256;

/**
 * Snapshots of one shell that clients wait for.
 * @unit snapshots
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_WAITING_SNAPSHOTS = 16;
