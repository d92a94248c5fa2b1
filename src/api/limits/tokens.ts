/** Limits of tokens. */

/**
 * Tokens of the administrator that have not expired. The tokens of all other clients together have the same limit.
 * Behind a Rivet Engine revoked tokens count too, until they would have expired.
 * @unit tokens
 * @past `client.tokens.create()` is refused.
 * @code limit_exceeded
 */
export const MAX_TOKENS = 100_000;

/**
 * Tokens that one client has made and that have not expired. A client is an identity of `authorize`, or a token of the
 * administrator with all tokens that were made with it. Behind a Rivet Engine revoked tokens count too, until they would have expired.
 * @unit tokens
 * @past `client.tokens.create()` is refused.
 * @code limit_exceeded
 */
export const MAX_TOKENS_PER_CLIENT = 1_000;

/**
 * Keys of one token. A prefix stands for any number of VMs.
 * @unit keys
 * @past `client.tokens.create()` is refused.
 * @code invalid_argument
 */
export const MAX_TOKEN_KEYS = 100;

/**
 * One token. It has to fit the head of a request.
 * @unit bytes
 * @past `client.tokens.create()` is refused.
 * @code invalid_argument
 */
export const MAX_TOKEN_BYTES = 4096;

/**
 * Longest life of a token. `renew` makes it last longer.
 * @unit s
 * @past `client.tokens.create()` is refused.
 * @code invalid_argument
 */
export const MAX_TOKEN_SECONDS = 366 * 86_400;

/**
 * Label of a token.
 * @unit bytes
 * @past `client.tokens.create()` is refused.
 * @code invalid_argument
 */
export const MAX_TOKEN_LABEL_BYTES = 256;
