/** Limits of sessions. */

import { KIB } from "../units.ts";

/**
 * Stored events of one session.
 * @unit events
 * @past The oldest events are dropped. An event in their place says so.
 */
export const MAX_SESSION_EVENTS = 100_000;

/**
 * Instructions that `createSession` takes.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_INSTRUCTIONS_BYTES = 64 * KIB;

/**
 * All options of one `createSession`, as JSON. The server stores them with the session.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_SESSION_OPTIONS_BYTES = 512 * KIB;

/**
 * MCP servers of one session.
 * @unit servers
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_MCP_SERVERS = 64;

/**
 * Default of `sessions.permissionTimeoutMs`: time to answer a permission request.
 * @unit ms
 * @past The request is rejected.
 */
export const PERMISSION_TIMEOUT_MS = 120_000;
