/** Limits of watches. `npm run docs` writes docs/limits.md from these comments. */

/**
 * File watches of one VM.
 * @unit watches
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_FILE_WATCHES = 64;
