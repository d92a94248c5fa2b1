/** Limits of messages and of the arguments of calls. */

import { KIB, MIB } from "../units.ts";

/**
 * One message between client and server, either way. RivetKit cannot carry 32 MiB.
 * @unit bytes
 * @past MAX_RESULT_BYTES applies first. A plain RivetKit client fails on a handle and hangs on a
 * connection.
 */
export const MAX_MESSAGE_BYTES = 31 * MIB;

/**
 * Result of an action, and arguments of a call of this package's client.
 * @unit bytes
 * @past Results are refused with `response_too_large`, in `readFiles` entry by entry. Arguments are
 * refused before they are sent.
 * @code response_too_large, invalid_argument
 */
export const MAX_RESULT_BYTES = MAX_MESSAGE_BYTES - 64 * KIB;

/**
 * Characters of a result that JSON writes as escapes: quotes, backslashes and control characters, such as line feeds. A replacement
 * character, which stands for binary output, counts as two. Half a surrogate pair, as in the name of a file that is not UTF-8, counts as
 * eight. Only for a client with the encoding `json`.
 * @unit characters
 * @past The result is refused. Ask for it in parts, or with the encoding `bare` or `cbor`.
 * @code response_too_large
 */
export const MAX_JSON_ESCAPES = 4 * MIB;

/**
 * Values in the arguments of one call: entries of objects and arrays, at every depth.
 * @unit values
 * @past The call is refused before it is decoded. A WebSocket is closed with 1009.
 * @code invalid_argument
 */
export const MAX_CALL_VALUES = 40_960;

/**
 * Keys of all objects in the arguments of one call.
 * @unit keys
 * @past The call is refused before it is decoded. A WebSocket is closed with 1009.
 * @code invalid_argument
 */
export const MAX_CALL_KEYS = 20_480;

/**
 * Arrays and objects around a value in the arguments of one call. Decoding deeper ones would overflow the stack.
 * @unit levels
 * @past The call is refused before it is decoded. A WebSocket is closed with 1009.
 * @code invalid_argument
 */
export const MAX_CALL_DEPTH = 100;

/**
 * Id of a shell, transfer or call.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_ID_BYTES = 256;

/**
 * Outcomes that one message of the client acknowledges.
 * @unit keys
 * @past The client acknowledges the rest in the next message.
 * @code invalid_argument
 */
export const MAX_ACKNOWLEDGED_CALLS = 4096;

/**
 * Calls that one message of the client begins.
 * @unit calls
 * @past The client begins the rest with the next message.
 * @code invalid_argument
 */
export const MAX_CALLS_TOGETHER = 32;

/**
 * Time for which a call waits for a lost connection. The client repeats the call within it.
 * @unit ms
 * @past The call rejects.
 * @code connection_lost
 */
export const RECONNECT_TIMEOUT_MS = 60_000;
