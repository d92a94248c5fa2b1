/** Limits of the HTTP server. `npm run docs` writes docs/limits.md from these comments. */

/**
 * Time to stop all VMs after SIGTERM or SIGINT.
 * @unit ms
 * @past The server exits with 1. The kernel ends the remaining processes.
 */
export const SHUTDOWN_TIMEOUT_MS = 60_000;

/**
 * Time after SIGTERM or SIGINT for calls that run.
 * @unit ms
 * @past The server ends the VMs. A command's result has the reason `vm_stopped`; another call is lost.
 * @code call_lost
 */
export const DRAIN_TIMEOUT_MS = 5_000;

/**
 * Longest time for calls that run, so that a timer holds it together with SHUTDOWN_TIMEOUT_MS.
 * @unit ms
 * @past The server does not start; `exitOnSignals()` waits so long.
 */
export const MAX_DRAIN_MS = 2_147_423_647;

/**
 * Open connections to the server that have sent no request with access, or that wait for another request to a preview.
 * @unit connections
 * @past A connection that waits for another request to a preview is closed, else the new one is refused with 429.
 * @code limit_exceeded
 */
export const MAX_STRANGERS = 4096;

/**
 * Open connections from one address that have sent no request with access, or that wait for another request to a preview.
 * @unit connections
 * @past A connection of the address that waits for another request to a preview is closed, else the new one is refused with 429.
 * @code limit_exceeded
 */
export const MAX_STRANGERS_PER_ADDRESS = 1024;

/**
 * Open connections of one token, or of one identity of `authorize`, at most half of the descriptors that the server keeps for
 * connections: 7.5 % of its limit of open files. The server's own token has no such limit.
 * @unit connections
 * @past The connection of the client that is unused for longest is closed. If all have requests or WebSockets under way, the new request
 * is refused.
 * @code limit_exceeded
 */
export const MAX_CONNECTIONS_PER_CLIENT = 2048;

/**
 * Requests of one connection whose answers have not ended. Browsers and most clients wait for an answer before their next request.
 * @unit requests
 * @past The server cuts the connection.
 * @code connection_lost
 */
export const MAX_UNANSWERED = 64;

/**
 * Time in which a connection without access must send a whole request head.
 * @unit ms
 * @past The server cuts the connection.
 */
export const STRANGER_IDLE_MS = 15_000;

/**
 * Time for a client to send the head of a request.
 * @unit ms
 * @past The request is refused with 408.
 */
export const HEADERS_TIMEOUT_MS = 15_000;

/**
 * Time for a client to send a whole request.
 * @unit ms
 * @past The request is refused with 408.
 */
export const REQUEST_TIMEOUT_MS = 300_000;

/**
 * Time for which a client's connection stays open between two requests. Node's own 5 s are shorter than a pause of a busy client, which would
 * send its next request into a connection that is closed.
 * @unit ms
 * @past The connection is closed.
 */
export const KEEP_ALIVE_MS = 65_000;

/**
 * Time for `authorize` to answer.
 * @unit ms
 * @past The request is refused.
 * @code unauthorized
 */
export const AUTHORIZE_TIMEOUT_MS = 10_000;

/**
 * Time since the last answer of the Rivet Engine to a server without VMs.
 * @unit ms
 * @past The server is not ready.
 */
export const FRONT_CONTACT_MS = 15_000;

/**
 * Arguments of one call of `client.tokens`, as JSON.
 * @unit bytes
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_TOKEN_REQUEST_BYTES = 128 * 1024;

/**
 * Open sessions of MCP clients at `/mcp`.
 * @unit sessions
 * @past The session that has been idle longest ends. A client opens another one by itself.
 */
export const MAX_MCP_SESSIONS = 512;

/**
 * Open sessions of one token, or of one identity of `authorize`, at `/mcp`.
 * @unit sessions
 * @past The token's session that has been idle longest ends. A client opens another one by itself.
 */
export const MAX_MCP_SESSIONS_PER_CLIENT = 64;

/**
 * Time without a request after which a session at `/mcp` ends.
 * @unit ms
 * @past The session ends. A client opens another one by itself.
 */
export const MCP_IDLE_MS = 1_800_000;

/**
 * Open requests of one session at `/mcp`, its streams included, and of one client without a session.
 * @unit requests
 * @past A further request is refused.
 * @code limit_exceeded
 */
export const MAX_MCP_OPEN_REQUESTS = 32;

/**
 * Body of a request to `/mcp`.
 * @unit bytes
 * @past The request is refused with 413.
 */
export const MAX_MCP_REQUEST_BYTES = 16 * 1024 * 1024;

/**
 * Open WebSockets of tunnels to one VM. Each `tunnel` and each `tunnelOut` has one.
 * @unit connections
 * @past A further WebSocket is refused.
 * @code limit_exceeded
 */
export const MAX_TUNNELS_PER_VM = 64;

/**
 * Open WebSockets of tunnels to all VMs of a server.
 * @unit connections
 * @past A further WebSocket is refused.
 * @code limit_exceeded
 */
export const MAX_TUNNELS = 1024;

/**
 * Open connections through one tunnel, and services that it offers.
 * @unit connections
 * @past A further connection is refused.
 * @code limit_exceeded
 */
export const MAX_TUNNEL_CONNECTIONS = 128;

/**
 * Services of clients that are offered inside one VM.
 * @unit services
 * @past A further service is refused.
 * @code limit_exceeded
 */
export const MAX_TUNNEL_OFFERS = 32;

/**
 * Bytes of tunnels that wait in the server for the programs of one VM.
 * @unit bytes
 * @past The connection with the most bytes is reset, of the tunnel with the most.
 * @code limit_exceeded
 */
export const MAX_TUNNEL_BYTES_PER_VM = 16 * 1024 * 1024;

/**
 * Bytes of tunnels that wait in the server for the programs of all VMs.
 * @unit bytes
 * @past The connection with the most bytes is reset, of the VM with the most.
 * @code limit_exceeded
 */
export const MAX_TUNNEL_BYTES = 256 * 1024 * 1024;

/**
 * Time without an open connection and without an offered service after which the server closes a tunnel's WebSocket. The
 * client opens another one when it needs it.
 * @unit ms
 * @past The server closes the WebSocket.
 */
export const TUNNEL_IDLE_MS = 60_000;

/**
 * Time for a client to answer the server's ping on the WebSocket of a tunnel.
 * @unit ms
 * @past The server cuts the WebSocket.
 */
export const TUNNEL_PING_MS = 30_000;
