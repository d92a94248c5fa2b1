/** Limits of cron. `npm run docs` writes docs/limits.md from these comments. */

import { KIB } from "../../api/units.ts";

/**
 * Cron jobs of one VM. A job that is over makes room.
 * @unit jobs
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_CRON_JOBS = 1_000;

/**
 * One cron job, as JSON.
 * @unit bytes
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_CRON_JOB_BYTES = 24 * KIB;

/**
 * Kept output of one run.
 * @unit bytes
 * @past The oldest output is dropped.
 */
export const CRON_OUTPUT_BYTES = 16 * KIB;

/**
 * Missed ticks of one job that run, or that one record counts.
 * @unit ticks
 * @past The oldest ticks are dropped.
 */
export const MAX_CRON_CATCH_UP = 100;

/**
 * Commands of cron jobs that run in one VM at the same time.
 * @unit commands
 * @past Further runs wait.
 */
export const MAX_CRON_CONCURRENT = 128;

/**
 * Runs of one VM that are running or waiting.
 * @unit runs
 * @past A tick is skipped, with this code as its reason.
 * @code limit_exceeded
 */
export const MAX_CRON_LIVE_RUNS = 2_000;
