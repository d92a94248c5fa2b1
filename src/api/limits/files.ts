/** Limits of file methods, transfers and file watches. */

import { MIB } from "../units.ts";

/**
 * A path, in UTF-8, as in Linux (PATH_MAX counts the final NUL).
 * @unit bytes
 * @past The path is refused. As `cwd` it is `invalid_argument`.
 * @code ENAMETOOLONG
 */
export const MAX_PATH_BYTES = 4095;

/**
 * File that one call reads in one piece.
 * @unit bytes
 * @past The call is refused. Through a server, MAX_RESULT_BYTES applies first.
 * @code EFBIG
 */
export const MAX_READ_FILE_BYTES = 2048 * MIB;

/**
 * One `readFiles` or `writeFiles`.
 * @unit entries
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_BATCH_ENTRIES = 10_000;

/**
 * One piece of a file or an archive. The client splits larger files.
 * @unit bytes
 * @past `writeFileChunk` and `writeTarChunk` refuse a larger piece.
 * @code invalid_argument
 */
export const TRANSFER_CHUNK_BYTES = 8 * MIB;

/**
 * Open transfers of files and archives of one VM.
 * @unit transfers
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_TRANSFERS = 64;

/**
 * Time without use after which a transfer ends.
 * @unit ms
 * @past The server closes the transfer and refuses its next piece.
 * @code transfer_not_found
 */
export const TRANSFER_IDLE_MS = 60_000;

/**
 * File that a transfer writes.
 * @unit bytes
 * @past `beginFileWrite` refuses it. `limits.filesystemBytes` applies first.
 * @code invalid_argument
 */
export const MAX_TRANSFER_BYTES = 1024 * 1024 * MIB;

/**
 * Names in the `exclude` of one file watch.
 * @unit names
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_WATCH_EXCLUDES = 64;

/**
 * Part of a file that one `readSnapshotFile` reads.
 * @unit bytes
 * @past The call is refused. Read the next part with `offset`.
 * @code invalid_argument
 */
export const MAX_SNAPSHOT_READ_BYTES = 4 * MIB;
