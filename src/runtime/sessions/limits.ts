/** Limits of sessions. `npm run docs` writes docs/limits.md from these comments. */

import { KIB, MIB } from "../../api/units.ts";

/**
 * Open sessions of one VM.
 * @unit sessions
 * @past `createSession` and `resumeSession` are refused.
 * @code limit_exceeded
 */
export const MAX_SESSIONS = 64;

/**
 * Closed sessions whose transcripts are kept.
 * @unit sessions
 * @past The session that was closed first is deleted.
 */
export const MAX_CLOSED_SESSIONS = 1_000;

/**
 * One prompt.
 * @unit bytes
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_PROMPT_BYTES = 8 * MIB;

/**
 * Queued prompts of one session.
 * @unit prompts
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_QUEUED_PROMPTS = 64;

/**
 * `text` of a prompt's result.
 * @unit bytes
 * @past The rest is only in the events.
 */
export const MAX_PROMPT_TEXT_BYTES = 8 * MIB;

/**
 * One line that an agent writes to stdout.
 * @unit bytes
 * @past The server kills the agent.
 * @code agent_crashed
 */
export const MAX_AGENT_LINE_BYTES = 16 * MIB;

/**
 * Nesting of arrays and objects in one message of an agent.
 * @unit levels
 * @past The server kills the agent.
 * @code agent_crashed
 */
export const MAX_AGENT_MESSAGE_DEPTH = 256;

/**
 * Values in one message of an agent, counted by its brackets and commas.
 * @unit values
 * @past The server kills the agent.
 * @code agent_crashed
 */
export const MAX_AGENT_MESSAGE_VALUES = 100_000;

/**
 * Name, version and capabilities that an agent reports, as JSON.
 * @unit bytes
 * @past The session is not created.
 * @code agent_failed
 */
export const MAX_AGENT_TRAITS_BYTES = 16 * KIB;

/**
 * Modes, models and other settings that an agent reports, as JSON.
 * @unit bytes
 * @past The server ignores the report.
 */
export const MAX_AGENT_SETTINGS_BYTES = 1 * MIB;

/**
 * Bytes that the server has sent to an agent and the agent has not read.
 * @unit bytes
 * @past The server kills the agent.
 * @code agent_crashed
 */
export const MAX_PENDING_AGENT_BYTES = 64 * MIB;

/**
 * Memory of the server for the sessions of one VM: prompts and the text of their answers, lines that have begun, requests of agents, and
 * events that are not stored yet.
 * @unit bytes
 * @past A prompt is refused, and so is a request of an agent. Further text of an answer is only in the events. An agent in the middle of a line is killed.
 * @code limit_exceeded
 */
export const MAX_SESSIONS_BYTES = 64 * MIB;

/**
 * Overhead charged for each message of an agent and each event, besides its text.
 * @unit bytes
 */
export const MESSAGE_OVERHEAD_BYTES = 600;

/**
 * Overhead charged for each value of an agent's message, as MAX_AGENT_MESSAGE_VALUES counts them, besides its text.
 * @unit bytes
 */
export const MESSAGE_VALUE_BYTES = 64;

/**
 * Memory of the server for the sessions of all VMs, without the first SMALL_SESSIONS_BYTES of each VM.
 * @unit bytes
 * @past As with MAX_SESSIONS_BYTES.
 * @code limit_exceeded
 */
export const MAX_SERVER_SESSIONS_BYTES = 256 * MIB;

/**
 * Memory for the sessions of each VM at any time. It holds the longest line of an agent, so that no other VM's sessions end an agent.
 * @unit bytes
 * @past MAX_SERVER_SESSIONS_BYTES applies.
 */
export const SMALL_SESSIONS_BYTES = MAX_AGENT_LINE_BYTES + 2 * MIB;

/**
 * End of an agent's stderr that its errors carry.
 * @unit bytes
 * @past The oldest output is dropped.
 */
export const AGENT_STDERR_BYTES = 64 * KIB;

/**
 * Unanswered requests of one agent.
 * @unit requests
 * @past The request is answered with an error.
 */
export const MAX_AGENT_REQUESTS = 256;

/**
 * Stored events of one session, in the server's storage.
 * @unit bytes
 * @past The oldest events are dropped. An event in their place says so.
 */
export const MAX_SESSION_EVENT_BYTES = 256 * MIB;

/**
 * Permission requests of one session that wait for an answer.
 * @unit requests
 * @past A further request is rejected.
 */
export const MAX_PENDING_PERMISSIONS = 64;

/**
 * `params` of the permission requests that `getSession` lists.
 * @unit bytes
 * @past Further requests have no `params`. Their events have them.
 */
export const MAX_LISTED_PERMISSION_BYTES = 8 * MIB;

/**
 * `description` of a permission request.
 * @unit characters
 * @past The rest is only in its `params`.
 */
export const MAX_DESCRIPTION_CHARS = 4 * KIB;

/**
 * Time for an agent to answer `initialize`.
 * @unit ms
 * @past The server kills the agent.
 * @code agent_failed
 */
export const AGENT_START_TIMEOUT_MS = 30_000;

/**
 * Time for an agent to open or load a session.
 * @unit ms
 * @past The server kills the agent.
 * @code agent_failed
 */
export const AGENT_SESSION_TIMEOUT_MS = 60_000;

/**
 * Time for an agent to change its mode, model or configuration.
 * @unit ms
 * @past The call fails.
 * @code agent_failed
 */
export const AGENT_ANSWER_TIMEOUT_MS = 30_000;

/**
 * Time for an agent to end a turn that was cancelled.
 * @unit ms
 * @past The server kills the agent. The next prompt restarts it.
 */
export const CANCEL_GRACE_MS = 10_000;

/**
 * Time for an agent to end after the server closes its stdin, and again after SIGTERM.
 * @unit ms
 * @past The server kills the agent.
 */
export const AGENT_STOP_GRACE_MS = 2_000;

/**
 * Crashes in a row after which the next prompt still restarts an agent.
 * @unit crashes
 * @past Only `resumeSession` restarts it.
 * @code agent_crashed
 */
export const MAX_AGENT_RESTARTS = 3;

/**
 * File that an agent reads through ACP, whole or by lines.
 * @unit bytes
 * @past The request is answered with an error.
 */
export const MAX_AGENT_READ_FILE_BYTES = 8 * MIB;

/**
 * Part of a file in one answer to `fs/read_text_file`. JSON may write six bytes for one.
 * @unit bytes
 * @past The request is answered with an error.
 */
export const MAX_AGENT_READ_BYTES = 2 * MIB;

/**
 * Commands that one agent runs through ACP terminals.
 * @unit commands
 * @past The request is answered with an error.
 */
export const MAX_AGENT_TERMINALS = 32;

/**
 * Kept output of one ACP terminal. The agent may ask for less.
 * @unit bytes
 * @past The oldest output is dropped, and `truncated` is `true`.
 */
export const MAX_AGENT_TERMINAL_BYTES = 1 * MIB;

/**
 * Part of a transcript that `readTranscript` answers.
 * @unit characters
 * @past The next event is in the next part.
 */
export const MAX_TRANSCRIPT_PART = 4 * MIB;

/**
 * One event in a transcript as JSON. Every event of an agent fits.
 * @unit bytes
 * @past The transcript has `null` and the number of bytes in its place. `getSequencedEvents` has the event.
 */
export const MAX_TRANSCRIPT_EVENT_BYTES = MAX_AGENT_LINE_BYTES + 1 * MIB;
