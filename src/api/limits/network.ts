/** Limits of previews, outbound policies and secrets. */

/**
 * Longest life of a URL of `createSignedPreviewUrl`.
 * @unit s
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_PREVIEW_SECONDS = 86_400;

/**
 * Longest life of a URL of `createPreview`.
 * @unit s
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_NAMED_PREVIEW_SECONDS = 31_536_000;

/**
 * Password of a preview.
 * @unit characters
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_PASSWORD_CHARS = 256;

/**
 * Origins in the `cors` of one preview.
 * @unit origins
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_PREVIEW_ORIGINS = 16;

/**
 * Rules in each list of an outbound policy.
 * @unit rules
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_NETWORK_RULES = 256;

/**
 * Default time for the answer to a question of an outbound policy, `network.askTimeoutMs`.
 * @unit ms
 * @past The server denies the connection.
 */
export const NETWORK_ASK_TIMEOUT_MS = 60_000;

/**
 * Longest `network.askTimeoutMs`.
 * @unit ms
 * @past The option is refused.
 * @code invalid_argument
 */
export const MAX_ASK_TIMEOUT_MS = 600_000;

/**
 * Secrets of one VM, of its actor's option and of `setSecrets` together.
 * @unit secrets
 * @past The call is refused.
 * @code invalid_argument, limit_exceeded
 */
export const MAX_SECRETS = 32;

/**
 * Value of a secret, and of a header or parameter that carries it.
 * @unit characters
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_SECRET_BYTES = 8_192;

/**
 * Hosts, methods and paths of one secret, each.
 * @unit entries
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_SECRET_HOSTS = 16;

/**
 * Headers and query parameters of one secret, each.
 * @unit entries
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_SECRET_PARTS = 16;
