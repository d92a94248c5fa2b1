/** Limits of network. `npm run docs` writes docs/limits.md from these comments. */

import { MIB } from "../../api/units.ts";

/**
 * Default `timeoutMs` of `vmFetch`, for the whole response, or for its head with `stream: true`.
 * @unit ms
 * @past The server cancels the request.
 * @code fetch_timeout
 */
export const FETCH_TIMEOUT_MS = 30_000;

/**
 * Response body of `vmFetch` without a server. Through a server, MAX_RESULT_BYTES applies first.
 * @unit bytes
 * @past The response is refused.
 * @code response_too_large
 */
export const MAX_FETCH_BODY_BYTES = 256 * MIB;

/**
 * Bodies of requests and responses of `vmFetch` that the server holds for one VM, without `stream: true`. Without a server at least
 * MAX_FETCH_BODY_BYTES.
 * @unit bytes
 * @past The request is refused, or ends.
 * @code limit_exceeded
 */
export const MAX_FETCHES_BYTES = 128 * MIB;

/**
 * Bodies of requests and responses of `vmFetch` that the server holds for all VMs, without `stream: true` and without the first
 * SMALL_FETCHES_BYTES of each VM.
 * @unit bytes
 * @past As with MAX_FETCHES_BYTES.
 * @code limit_exceeded
 */
export const MAX_SERVER_FETCHES_BYTES = 256 * MIB;

/**
 * Bodies of `vmFetch` that the server holds for each VM at any time.
 * @unit bytes
 * @past MAX_SERVER_FETCHES_BYTES applies.
 */
export const SMALL_FETCHES_BYTES = 4 * MIB;

/**
 * Open requests of `vmFetch` with `stream: true` of one VM.
 * @unit requests
 * @past The request is refused.
 * @code limit_exceeded
 */
export const MAX_FETCH_STREAMS = 256;

/**
 * Default `timeoutMs` of `waitForPort`.
 * @unit ms
 * @past The call rejects.
 * @code port_timeout
 */
export const PORT_WAIT_MS = 30_000;

/**
 * DNS questions of a VM in a second under the policy `none`.
 * @unit questions
 * @past The VM has no resolver any more in this boot. Its programs find no name, and the log shows no further one.
 */
export const MAX_DENIED_QUESTIONS = 500;

/**
 * Default lifetime of a preview URL.
 * @unit s
 * @past The URL answers 403.
 * @code preview_denied
 */
export const PREVIEW_SECONDS = 3_600;

/**
 * Default lifetime of a preview with a name: 30 days.
 * @unit s
 * @past The URL answers 403.
 * @code preview_denied
 */
export const NAMED_PREVIEW_SECONDS = 2_592_000;

/**
 * Time for which a browser need not repeat the password of a preview: 12 hours.
 * @unit s
 * @past The browser gets the form again.
 * @code preview_locked
 */
export const PREVIEW_SESSION_SECONDS = 43_200;

/**
 * Wrong passwords and tokens that one preview takes in a minute.
 * @unit attempts
 * @past Every password and token is refused with 429 until the next minute. Browsers that are logged in pass.
 * @code limit_exceeded
 */
export const MAX_PREVIEW_ATTEMPTS = 10;

/**
 * Time for a browser to send the form with a password.
 * @unit ms
 * @past The request is refused.
 * @code preview_locked
 */
export const LOGIN_MS = 10_000;

/**
 * Entries of the log of a VM's previews.
 * @unit entries
 * @past The oldest is forgotten.
 */
export const MAX_PREVIEW_LOG = 1_000;

/**
 * `previewRequest` events of one VM in a second.
 * @unit events
 * @past Further requests are in the log only.
 */
export const MAX_PREVIEW_EVENTS_PER_SECOND = 20;

/**
 * Valid preview URLs of one VM.
 * @unit URLs
 * @past The call is refused.
 * @code limit_exceeded
 */
export const MAX_PREVIEWS = 1024;

/**
 * Open requests and WebSockets through the previews of one VM.
 * @unit connections
 * @past The request is refused with 429.
 * @code limit_exceeded
 */
export const MAX_PREVIEW_CONNECTIONS = 256;

/**
 * Open connections through tunnels to servers in one VM.
 * @unit connections
 * @past A further connection is refused.
 * @code limit_exceeded
 */
export const MAX_TUNNEL_CONNECTIONS_PER_VM = 256;

/**
 * Interim responses (1xx) to one request that `vmFetch`, a preview or the outbound proxy forwards.
 * @unit responses
 * @past The request fails with `fetch_failed`, `preview_failed` or 502.
 */
export const MAX_INTERIM_RESPONSES = 32;

/**
 * Open connections of a VM's programs to the outside, through the proxy or without it.
 * @unit connections
 * @past The server cuts a further connection.
 */
export const MAX_OUTBOUND_CONNECTIONS = 256;

/**
 * Ports of a policy's rules at which connections without the proxy arrive, on a kernel without nf_tables.
 * @unit ports
 * @past Programs reach further ports through the proxy only.
 */
export const MAX_LED_PORTS = 64;

/**
 * Connections of the server to the outside for one VM, also connections whose last bytes are under way.
 * @unit connections
 * @past The server refuses a further connection.
 */
export const MAX_OUTSIDE_CONNECTIONS = 2 * MAX_OUTBOUND_CONNECTIONS;

/**
 * Requests of a VM's program on one connection whose HTTP the server reads, without a whole response yet.
 * @unit requests
 * @past The server cuts the connection.
 */
export const MAX_PIPELINED = 16;

/**
 * Open HTTP/2 requests on one connection of a VM's program whose requests the server reads.
 * @unit requests
 * @past The program waits, or sees REFUSED_STREAM.
 */
export const MAX_HTTP2_STREAMS = 100;

/**
 * Open HTTP/2 requests of one VM's programs whose requests the server reads.
 * @unit requests
 * @past The program sees REFUSED_STREAM.
 */
export const MAX_HTTP2_REQUESTS = 1_024;

/**
 * Body of a request in which placeholders of secrets are replaced.
 * @unit bytes
 * @past A larger body passes as the program sent it.
 */
export const MAX_SECRET_BODY_BYTES = MIB;

/**
 * Bytes by which placeholders of secrets make one request longer.
 * @unit bytes
 * @past The program sees 400.
 */
export const MAX_PLACEHOLDER_GROWTH_BYTES = 64 * 1024;

/**
 * Bodies of one VM that the server reads at the same time, to replace placeholders in them.
 * @unit bodies
 * @past Further requests wait.
 */
export const MAX_SECRET_BODIES = 16;

/**
 * Time for a body in which placeholders are replaced to arrive.
 * @unit ms
 * @past The program sees 502.
 */
export const SECRET_BODY_MS = 60_000;

/**
 * DNS questions of a VM in a second, over UDP and over TCP each.
 * @unit questions
 * @past Over UDP further questions have no answer. Over TCP the server cuts the connection.
 */
export const MAX_QUESTIONS_PER_SECOND = 500;

/**
 * Host names that a VM's resolver remembers with their addresses.
 * @unit names
 * @past The name without use for the longest time is forgotten: a connection to its address is denied.
 */
export const MAX_REMEMBERED_NAMES = 4_096;

/**
 * DNS questions of a VM that wait for their answer.
 * @unit questions
 * @past Further questions have no answer.
 */
export const MAX_OPEN_QUESTIONS = 128;

/**
 * Host names that the server resolves for one VM at the same time.
 * @unit names
 * @past Further lookups of the VM wait in a queue.
 */
export const MAX_OUTBOUND_LOOKUPS = 16;

/**
 * Host names of one VM that wait to be resolved.
 * @unit names
 * @past The program sees 502.
 */
export const MAX_WAITING_LOOKUPS = 128;

/**
 * Time to resolve one host name, with its search domains.
 * @unit ms
 * @past The program sees 502.
 */
export const LOOKUP_TIMEOUT_MS = 10_000;

/**
 * Addresses of one host name that the server tries.
 * @unit addresses
 * @past Further addresses are ignored.
 */
export const MAX_LOOKUP_ADDRESSES = 16;

/**
 * Time for an outside host to accept a connection.
 * @unit ms
 * @past The program sees 502.
 */
export const OUTBOUND_CONNECT_TIMEOUT_MS = 20_000;

/**
 * Questions of one VM's outbound policy that wait for an answer.
 * @unit questions
 * @past The server denies the connection.
 */
export const MAX_NETWORK_QUESTIONS = 32;

/**
 * Answers to questions of one VM's outbound policy that the server remembers.
 * @unit answers
 * @past The oldest is forgotten.
 */
export const MAX_NETWORK_ANSWERS = 1_024;

/**
 * Time for which a refused question is not asked again.
 * @unit ms
 * @past The next connection asks again.
 */
export const DENIED_ANSWER_MS = 60_000;

/**
 * Entries in the result of `getNetworkLog`: denials, and connections that an answer allowed.
 * @unit entries
 * @past The oldest is forgotten.
 */
export const MAX_NETWORK_LOG = 1_000;

/**
 * `networkDenied` events of one VM in a second.
 * @unit events
 * @past Further denials are in the log only.
 */
export const MAX_DENIED_EVENTS_PER_SECOND = 20;

/**
 * Time without a byte on a connection that one side has ended.
 * @unit ms
 * @past The server cuts the connection.
 */
export const HALF_OPEN_MS = 300_000;
