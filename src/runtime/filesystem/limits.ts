/** Limits of filesystem. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../../api/units.ts";

/**
 * `fileChanged` events of one VM that wait to be sent.
 * @unit events
 * @past The waiting events of the watch become one `overflow`.
 */
export const MAX_QUEUED_FILE_EVENTS = 10_000;

/**
 * Memory of the `fileChanged` events of all VMs that wait to be sent.
 * @unit bytes
 * @past Of the VMs with the most, the waiting events of each watch become one `overflow`.
 */
export const MAX_SERVER_QUEUED_FILE_EVENT_BYTES = 64 * MIB;
