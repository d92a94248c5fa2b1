/** Limits of the trees that a VM's sandbox reads. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../../api/units.ts";

/**
 * Estimated memory of the server for the checkpoints, archives and file watches of one VM.
 * @unit bytes
 * @past The checkpoint, archive, diff, snapshot or watch fails. The VM goes on running.
 * @code limit_exceeded
 */
export const MAX_TREE_BYTES = 160 * MIB;

/**
 * Estimated memory of the server for the archives and file watches of all VMs together, and for their last checkpoints, without
 * the first SMALL_TREE_BYTES of each VM. One tree with more than that is read at a time, in memory besides this.
 * @unit bytes
 * @past Archives and watches of VMs with more than SMALL_TREE_BYTES fail.
 * @code limit_exceeded
 */
export const MAX_SERVER_TREE_BYTES = 144 * MIB;

/**
 * Memory for checkpoints, archives and file watches that each VM has at any time.
 * @unit bytes
 * @past MAX_SERVER_TREE_BYTES applies.
 */
export const SMALL_TREE_BYTES = 16 * MIB;

/**
 * Large files of one tree that the server reads at the same time. Each read has memory for its whole file from its start, and reads take
 * turns: of a hundred reads none would end before all have their memory.
 * @unit files
 * @past The read waits.
 */
export const MAX_LARGE_READS = 2;
