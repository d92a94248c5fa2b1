/** Limits of processes. `npm run docs` writes docs/limits.md from these comments. */

import { KIB, MIB } from "../../api/units.ts";

/**
 * Data of one `processOutput` or `shellData`.
 * @unit bytes
 * @past Output is split into several events.
 */
export const MAX_EVENT_DATA_BYTES = 192 * KIB;

/**
 * Kept output of one process.
 * @unit bytes
 * @past The oldest output is dropped. `readProcessOutput` says `truncated`.
 */
export const PROCESS_REPLAY_BYTES = 1 * MIB;

/**
 * Kept output of all processes, shells, services and ACP terminals of one VM, with the drawn screens of its shells.
 * @unit bytes
 * @past The oldest output of what has ended is dropped first. Its reader sees `truncated`.
 */
export const MAX_KEPT_OUTPUT_BYTES = 64 * MIB;

/**
 * Kept output of the programs of all VMs together.
 * @unit bytes
 * @past Output of the VMs that keep the most is dropped, as with MAX_KEPT_OUTPUT_BYTES.
 */
export const MAX_SERVER_KEPT_OUTPUT_BYTES = 256 * MIB;

/**
 * Command line of one process or shell in `listProcesses`, `getProcess` and `listShells`.
 * @unit characters
 * @past The rest is left out.
 */
export const MAX_KEPT_COMMAND_CHARS = 16 * KIB;

/**
 * Processes in `listProcesses`, with their command lines.
 * @unit bytes
 * @past The processes that started first are listed without arguments, and with the first 256 characters of their command.
 */
export const MAX_LISTED_PROCESS_BYTES = 16 * MIB;

/**
 * Output of a process that its `run` or `attach` has not read.
 * @unit bytes
 * @past The process waits until it is read.
 */
export const MAX_UNREAD_OUTPUT_BYTES = 512 * KIB;

/**
 * Time without its reader for which a process waits with unread output.
 * @unit ms
 * @past The process goes on, and its oldest output is dropped.
 */
export const READER_GONE_MS = 90_000;

/**
 * Overhead charged for each kept chunk of output, besides its data.
 * @unit bytes
 */
export const REPLAY_CHUNK_BYTES = 32;

/**
 * Captured output of all running `exec` calls of one VM.
 * @unit bytes
 * @past Further output is dropped, as with `limits.captureBytes`.
 */
export const MAX_CAPTURED_BYTES = 128 * MIB;

/**
 * Captured output of all running `exec` calls of all VMs together.
 * @unit bytes
 * @past The VMs that capture the most lose the end of their largest captures, with `truncated`.
 */
export const MAX_SERVER_CAPTURED_BYTES = 256 * MIB;

/**
 * `output` of one `exec`: both streams in one text. Together with `stdout` and `stderr` it must fit into one message.
 * @unit bytes
 * @past The text ends. `stdout` and `stderr` have the rest.
 */
export const MAX_INTERLEAVED_BYTES = 4 * MIB;

/**
 * Changes from one stream to the other in the `output` of one `exec`.
 * @unit changes
 * @past The text ends. `stdout` and `stderr` have the rest.
 */
export const MAX_INTERLEAVED_RUNS = 16_384;

/**
 * Ended processes that are remembered.
 * @unit processes
 * @past The oldest is forgotten.
 * @code process_not_found
 */
export const MAX_ENDED_PROCESSES = 1024;

/**
 * Input that a spawned process has not read.
 * @unit bytes
 * @past `writeProcessStdin` refuses input that would pass it.
 * @code limit_exceeded
 */
export const MAX_PENDING_STDIN_BYTES = 32 * MIB;
