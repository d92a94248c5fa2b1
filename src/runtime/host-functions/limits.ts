/** Limits of host functions. `npm run docs` writes docs/limits.md from these comments. */

import { KIB, MIB } from "../../api/units.ts";

/**
 * Groups of host functions of one actor.
 * @unit groups
 * @past `vmActor` throws.
 * @code invalid_argument
 */
export const MAX_FUNCTION_GROUPS = 64;

/**
 * Host functions of one group.
 * @unit functions
 * @past `vmActor` throws.
 * @code invalid_argument
 */
export const MAX_GROUP_FUNCTIONS = 128;

/**
 * Name of a group, and of a host function.
 * @unit characters
 * @past `vmActor` throws.
 * @code invalid_argument
 */
export const MAX_FUNCTION_NAME_LENGTH = 31;

/**
 * Default `timeout` of a host function.
 * @unit ms
 * @past Its signal is aborted, and the program ends with exit code 1.
 */
export const HOST_FUNCTION_TIMEOUT_MS = 30_000;

/**
 * Host functions that run at once for one VM. A function counts until it settles, even if its program has ended.
 * @unit calls
 * @past A further program ends with exit code 1.
 */
export const MAX_HOST_CALLS = 32;

/**
 * JSON input of one call.
 * @unit bytes
 * @past The program ends with exit code 1.
 */
export const MAX_HOST_INPUT_BYTES = MIB;

/**
 * Values in the JSON input of one call, counted by its brackets and commas.
 * @unit values
 * @past The program ends with exit code 1, and a tool of the Model Context Protocol is refused.
 */
export const MAX_HOST_INPUT_VALUES = 50_000;

/**
 * Nesting of arrays and objects in the JSON input of one call.
 * @unit levels
 * @past As with MAX_HOST_INPUT_VALUES.
 */
export const MAX_HOST_INPUT_DEPTH = 256;

/**
 * JSON result of one call.
 * @unit bytes
 * @past The program ends with exit code 1.
 */
export const MAX_HOST_RESULT_BYTES = 4 * MIB;

/**
 * Error message of one call.
 * @unit characters
 * @past The rest is left out.
 */
export const MAX_HOST_MESSAGE_LENGTH = 8 * KIB;

/**
 * List of host functions in the instructions of agents.
 * @unit characters
 * @past The list names further groups only.
 */
export const MAX_HOST_INSTRUCTIONS_LENGTH = 12 * KIB;
