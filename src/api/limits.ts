/** Limits of the API and the wire. `npm run docs` writes docs/limits.md from these comments. */

const KIB = 1024;
const MIB = 1024 * 1024;

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
 * One piece of a file or an archive. The client splits larger files.
 * @unit bytes
 * @past `writeFileChunk` and `writeTarChunk` refuse a larger piece.
 * @code invalid_argument
 */
export const TRANSFER_CHUNK_BYTES = 8 * MIB;

/**
 * File that one call reads in one piece.
 * @unit bytes
 * @past The call is refused. Through a server, MAX_RESULT_BYTES applies first.
 * @code EFBIG
 */
export const MAX_READ_FILE_BYTES = 2048 * MIB;

/**
 * Open transfers of files and archives of one VM.
 * @unit transfers
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_TRANSFERS = 64;

/**
 * Time without use after which a transfer ends.
 * @unit ms
 * @past The server closes the transfer and refuses its next piece.
 * @code transfer_not_found
 */
export const TRANSFER_IDLE_MS = 60_000;

/**
 * File that a transfer writes.
 * @unit bytes
 * @past `beginFileWrite` refuses it. `limits.filesystemBytes` applies first.
 * @code invalid_argument
 */
export const MAX_TRANSFER_BYTES = 1024 * 1024 * MIB;

/**
 * A path, in UTF-8, as in Linux (PATH_MAX counts the final NUL).
 * @unit bytes
 * @past The path is refused. As `cwd` it is `invalid_argument`.
 * @code ENAMETOOLONG
 */
export const MAX_PATH_BYTES = 4095;

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
 * One `readFiles` or `writeFiles`.
 * @unit entries
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_BATCH_ENTRIES = 10_000;

/**
 * Columns and rows of a terminal.
 * @unit columns or rows
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_TERMINAL_CELLS = 4096;

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
 * Strings in the key of `fork`.
 * @unit strings
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_KEY_PARTS = 16;

/**
 * Variables that the creator of a VM chooses for it, all together.
 * @unit bytes
 * @past The VM is not made.
 * @code invalid_argument
 */
export const MAX_OWN_ENV_BYTES = 65_536;

/**
 * Labels by which \`client.vm.list()\` finds VMs.
 * @unit labels
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LISTED_LABELS = 8;

/**
 * VMs in a page of `client.vm.list()`.
 * @unit VMs
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LISTED_VMS = 1000;

/**
 * Labels of a VM.
 * @unit labels
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LABELS = 32;

/**
 * Name or value of a label.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_LABEL_BYTES = 256;

/**
 * Tokens of the administrator that have not expired. The tokens of all other clients together have the same limit.
 * @unit tokens
 * @past `client.tokens.create()` is refused.
 * @code limit_exceeded
 */
export const MAX_TOKENS = 100_000;

/**
 * Tokens that one client has made and that have not expired. A client is an identity of `authorize`, or a token of the
 * administrator with all tokens that were made with it.
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

/**
 * All strings in the key of `fork` together.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_KEY_BYTES = 1024;

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
 * A `schedule`, `startAt` or `stopAt`.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_CRON_SCHEDULE_BYTES = 256;

/**
 * Runs of one VM that are remembered.
 * @unit runs
 * @past The oldest is forgotten.
 */
export const MAX_CRON_RUNS = 1_000;

/**
 * `jitterSeconds` of a cron job.
 * @unit s
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_CRON_JITTER_SECONDS = 86_400;

/**
 * Names in the `exclude` of one file watch.
 * @unit names
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_WATCH_EXCLUDES = 64;

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
