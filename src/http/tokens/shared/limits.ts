/** Limits of tokens behind a Rivet Engine. `npm run docs` writes docs/limits.md from these comments. */

/**
 * Age of a server's list of revoked tokens. A revoked token may be valid so long on another server that gets the list in REVOKED_WAIT_MS.
 * @unit ms
 * @past The server asks for the list before it admits a token, and while connections with tokens are open.
 */
export const REVOKED_AGE_MS = 5_000;

/**
 * Time for which a request waits for a newer list of revoked tokens, while the server's own is not older than MAX_REVOKED_AGE_MS.
 * @unit ms
 * @past The server decides by the list that it has.
 */
export const REVOKED_WAIT_MS = 1_000;

/**
 * Age of a server's list of revoked tokens, if nobody tells the server a newer one.
 * @unit ms
 * @past The server refuses scoped tokens. Open connections go on.
 * @code connection_lost
 */
export const MAX_REVOKED_AGE_MS = 30_000;

/**
 * Time for the answer of the actor that notes tokens, which may have to wake.
 * @unit ms
 * @past The call fails.
 * @code connection_lost
 */
export const TOKEN_ANSWER_MS = 15_000;
