/** Limits of archives. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../../api/units.ts";

/**
 * Archives that one VM packs at the same time. Each holds a list of its entries.
 * @unit archives
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_ARCHIVE_READS = 8;

/**
 * One header of a tar archive, such as a long name, or zeros after the archive's end.
 * @unit bytes
 * @past The archive is refused.
 * @code invalid_archive
 */
export const MAX_ARCHIVE_HEADER_BYTES = 1 * MIB;

/**
 * Archive of `rootFilesystem` on the host. The server keeps it in memory.
 * @unit bytes
 * @past New VMs do not boot.
 * @code boot_failed
 */
export const MAX_ROOT_ARCHIVE_BYTES = 1024 * MIB;
