/** Limits of shells. `npm run docs` writes docs/limits.md from these comments. */

const KIB = 1024;
const MIB = 1024 * 1024;

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
