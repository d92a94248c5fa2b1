/** Limits of commands and terminals. */

import { KIB, MIB } from "../units.ts";

/**
 * One argument of a command, or one variable as `NAME=value`. The line of `exec` is an argument. As in
 * Linux (MAX_ARG_STRLEN counts the final NUL).
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_ARGUMENT_BYTES = 128 * KIB - 1;

/**
 * All arguments and variables of a call together.
 * @unit bytes
 * @past They are refused.
 * @code invalid_argument
 */
export const MAX_ARGUMENTS_BYTES = 1 * MIB;

/**
 * Arguments of one command.
 * @unit arguments
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_ARGUMENTS = 32_768;

/**
 * Longest `timeout` of `exec`, and longest `sleepTimeoutMs`. A timer of Node holds no more.
 * @unit ms
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_TIMEOUT_MS = 2_147_483_647;

/**
 * One wait of `followProcess` for output.
 * @unit ms
 * @past The client of this package asks again.
 * @code invalid_argument
 */
export const MAX_FOLLOW_WAIT_MS = 30_000;

/**
 * Process id: the highest that Linux can give (PID_MAX_LIMIT).
 * @unit number
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_PID = 4_194_304;

/**
 * Columns and rows of a terminal.
 * @unit columns or rows
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_TERMINAL_CELLS = 4096;
