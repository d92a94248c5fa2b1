/** Limits of the client. `npm run docs` writes docs/limits.md from these comments. */

/**
 * Pause before the first attempt to reconnect. The client leaves out a random part of up to half of it.
 * @unit ms
 * @past The pause doubles with each attempt.
 */
export const RECONNECT_DELAY_MS = 100;

/**
 * Longest pause between two attempts to reconnect.
 * @unit ms
 */
export const MAX_RECONNECT_DELAY_MS = 2_000;

/**
 * Time for an answer after a lost connection. A Rivet Engine that has restarted leaves requests without one.
 * @unit ms
 * @past The client asks once more, and waits twice as long.
 */
export const ASK_AGAIN_MS = 1_000;

/**
 * Time until a new connection is open.
 * @unit ms
 * @past The client tries again.
 */
export const CONNECT_TIMEOUT_MS = 15_000;

/**
 * Pause between a client's heartbeats, which also keep address translators from forgetting the connection.
 * @unit ms
 */
export const HEARTBEAT_INTERVAL_MS = 20_000;

/**
 * Time without a message on a connection.
 * @unit ms
 * @past The client connects again.
 */
export const SILENCE_TIMEOUT_MS = 90_000;

/**
 * Time for which a handle's own connection stays open after its last call.
 * @unit ms
 * @past The client closes the connection.
 */
export const CONNECTION_LINGER_MS = 1_000;

/**
 * Time for which an aborted `run` waits until its process tree is gone.
 * @unit ms
 * @past `run` rejects. The client still tries to kill the tree.
 */
export const KILL_WAIT_MS = 5_000;
