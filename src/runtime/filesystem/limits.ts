/** Limits of filesystem. `npm run docs` writes docs/limits.md from these comments. */

/**
 * `fileChanged` events of one VM that wait to be sent.
 * @unit events
 * @past The waiting events of the watch become one `overflow`.
 */
export const MAX_QUEUED_FILE_EVENTS = 10_000;
