/** Limits of cron jobs. */

/**
 * A `schedule`, `startAt` or `stopAt`.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_CRON_SCHEDULE_BYTES = 256;

/**
 * Runs of one VM that are remembered.
 * @unit runs
 * @past The oldest is forgotten.
 */
export const MAX_CRON_RUNS = 1_000;

/**
 * `jitterSeconds` of a cron job.
 * @unit s
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_CRON_JITTER_SECONDS = 86_400;
