/** Limits of persistence. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../../api/units.ts";

/**
 * Snapshots of one VM.
 * @unit snapshots
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_SNAPSHOTS = 128;

/**
 * Extended attributes of all files of one VM.
 * @unit bytes
 * @past The attributes of further files are not stored. `checkpoint` lists these files in `unreadable`.
 */
export const MAX_VM_ATTRIBUTES_BYTES = 16 * MIB;

/**
 * Numbers of records that a VM leaves out after a boot that found an unended instance of it. That instance may still store
 * records under these numbers.
 * @unit numbers
 * @past A paused instance could replace a record of its successor.
 */
export const RIVAL_NUMBERS = 100_000;
