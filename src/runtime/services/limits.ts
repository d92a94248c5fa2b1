/** Limits of services. `npm run docs` writes docs/limits.md from these comments. */

/**
 * Services of one VM.
 * @unit services
 * @past `startService` is refused.
 * @code limit_exceeded
 */
export const MAX_SERVICES = 32;

/**
 * Definitions of the services of one VM together, as JSON.
 * @unit bytes
 * @past `startService` is refused, and changes nothing.
 * @code limit_exceeded
 */
export const MAX_SERVICES_BYTES = 120 * 1024;

/**
 * Kept output of one service.
 * @unit bytes
 * @past The oldest output is dropped.
 */
export const SERVICE_LOG_BYTES = 256 * 1024;

/**
 * Time for the port of a service to listen.
 * @unit ms
 * @past The server ends the service, which counts as failed.
 */
export const SERVICE_READY_MS = 60_000;

/**
 * Time for a service to end after SIGTERM.
 * @unit ms
 * @past The server kills it.
 */
export const SERVICE_STOP_MS = 5_000;

/**
 * Time for which a request to the port of a service that starts waits.
 * @unit ms
 * @past The request fails.
 * @code ECONNREFUSED
 */
export const SERVICE_REQUEST_MS = 30_000;

/**
 * Requests of one VM that wait for a service at once.
 * @unit requests
 * @past A further request does not wait.
 * @code ECONNREFUSED
 */
export const MAX_SERVICE_WAITERS = 256;
