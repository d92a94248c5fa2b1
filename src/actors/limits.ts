/** Limits of the actor. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../api/units.ts";

/**
 * Running calls of one VM over connections, with the outcomes that the server keeps for clients.
 * @unit calls
 * @past The oldest kept outcomes make room. If only running calls are left, the call is refused.
 * @code limit_exceeded
 */
export const MAX_CALLS = 4096;

/**
 * Outcomes of one VM that wait for clients.
 * @unit bytes
 * @past The oldest outcome is dropped. If its client has not received it, the call is lost.
 * @code call_lost
 */
export const MAX_KEPT_OUTCOME_BYTES = 64 * MIB;

/**
 * Outcomes of all VMs that wait for clients.
 * @unit bytes
 * @past The VMs with the most lose their oldest outcomes. If their clients have not received them, the calls are lost.
 * @code call_lost
 */
export const MAX_SERVER_KEPT_OUTCOME_BYTES = 256 * MIB;

/**
 * Arguments of the running calls of one VM, such as content for files. Calls with less than 16 KiB do not count, nor does stdin that
 * has reached the VM.
 * @unit bytes
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_HELD_ARGUMENT_BYTES = 256 * MIB;

/**
 * Arguments of the running calls of all VMs, without the first SMALL_HELD_ARGUMENT_BYTES of each VM.
 * @unit bytes
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_SERVER_HELD_ARGUMENT_BYTES = 512 * MIB;

/**
 * Arguments of running calls that each VM may have at any time. They hold the largest message.
 * @unit bytes
 * @past MAX_SERVER_HELD_ARGUMENT_BYTES applies.
 */
export const SMALL_HELD_ARGUMENT_BYTES = 32 * MIB;

/**
 * Time for which an outcome waits for its client.
 * @unit ms
 * @past The outcome is dropped.
 * @code call_lost
 */
export const CALL_RETENTION_MS = 5 * 60_000;

/**
 * Keys of calls whose outcome was dropped. The server keeps them so that no call runs twice.
 * @unit keys
 * @past The oldest key is forgotten. Its call would run again if a client repeated it.
 */
export const MAX_CALL_TOMBSTONES = 65_536;

/**
 * Keys of calls that a VM notes when it moves to another server.
 * @unit keys
 * @past Calls that were on their way during the move are lost.
 * @code call_lost
 */
export const MAX_ENDED_CALLS = 8192;

/**
 * Start of an actor. The first VM of a server also loads the runtime.
 * @unit ms
 * @past The action fails.
 */
export const START_TIMEOUT_MS = 30_000;

/**
 * End of a VM when its actor sleeps or is destroyed.
 * @unit ms
 * @past The actor stops waiting.
 */
export const DISPOSE_TIMEOUT_MS = 30_000;

/**
 * Wait of an actor that starts for the end of an older instance of it in this process.
 * @unit ms
 * @past The actor starts. Whatever the older instance still stores is refused.
 */
export const REPLACE_TIMEOUT_MS = 10_000;

/**
 * Time for a new VM to come back, whose server ends in the middle of its fork.
 * @unit ms
 * @past The fork fails, and the new VM destroys itself.
 * @code call_lost
 */
export const FORK_MOVE_MS = 60_000;

/**
 * Time for the lost connection of a `vmFetch` caller to come back.
 * @unit ms
 * @past The server cancels the request.
 * @code fetch_aborted
 */
export const CALL_ABANDON_MS = 10_000;

/**
 * Events of one VM that wait for one hook of the server, such as `onSessionEvent`.
 * @unit events
 * @past All that wait are dropped, and the server logs how many.
 */
export const MAX_WAITING_EVENTS = 10_000;

/**
 * Size of the events of one VM that wait for one hook of the server.
 * @unit bytes
 * @past All that wait are dropped, and the server logs how many.
 */
export const MAX_WAITING_EVENT_BYTES = 8 * MIB;

/**
 * Size of the events of all VMs that wait for hooks of the server.
 * @unit bytes
 * @past Of the hooks and VMs with the most, all that wait are dropped, and the server logs how many.
 */
export const MAX_SERVER_WAITING_EVENT_BYTES = 128 * MIB;

/**
 * Time that the start of an actor waits for `resolveOptions`, whatever `hookTimeoutMs` is.
 * @unit ms
 * @past Every boot fails until the VM has slept.
 * @code hook_failed
 */
export const MAX_RESOLVE_MS = 20_000;

/**
 * Events of one VM that `getEventLog` returns.
 * @unit events
 * @past The oldest event is forgotten.
 */
export const MAX_LOGGED_EVENTS = 500;

/** Characters of an event's text in the log. */
export const MAX_LOGGED_EVENT_CHARACTERS = 2_000;

/**
 * Memory that the server's log of events takes for all VMs.
 * @unit bytes
 * @past The events of the VM that was quiet longest are forgotten.
 */
export const MAX_LOGGED_EVENTS_BYTES = 32 * MIB;

/**
 * Time to measure what a VM uses and the size of its files, for a list.
 * @unit ms
 * @past The list shows the VM without them.
 */
export const VM_MEASURE_MS = 700;
