/** Limits of mounts. `npm run docs` writes docs/limits.md from these comments. */

/**
 * Mounts of one VM, those of the option `mounts` included.
 * @unit mounts
 * @past `mountFs` is refused.
 * @code limit_exceeded
 */
export const MAX_MOUNTS = 64;

/**
 * Definitions of the mounts of one VM together, as JSON.
 * @unit bytes
 * @past `mountFs` is refused, and changes nothing.
 * @code limit_exceeded
 */
export const MAX_MOUNTS_BYTES = 120 * 1024;
