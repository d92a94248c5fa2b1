/** Limits of servers that forward to each other. `npm run docs` writes docs/limits.md from these comments. */

/**
 * Difference between the clocks of two servers.
 * @unit ms
 * @past A server refuses the other's requests with 401. Its log says so.
 * @code connection_lost
 */
export const PEER_CLOCK_MS = 30_000;

/**
 * Forwarded requests that a server remembers, so that nobody can repeat one within PEER_CLOCK_MS.
 * @unit requests
 * @past A further request is refused with 401, as if it had not begun.
 * @code connection_lost
 */
export const MAX_PEER_NONCES = 500_000;

/**
 * Time for the server that has a VM to take a forwarded request.
 * @unit ms
 * @past The request has not begun. The server asks once more which server has the VM, and then gives up.
 * @code connection_lost
 */
export const PEER_ANSWER_MS = 5_000;

/**
 * Time for the engine to wake a VM, and for the VM to say which server has it.
 * @unit ms
 * @past The request is refused.
 * @code vm_stopped
 */
export const PEER_WAKE_MS = 30_000;

/**
 * Pause between two signs of life of a server with forwarded requests under way, and time for each.
 * @unit ms
 * @past After two signs that do not come, the requests under way to that server end.
 * @code call_lost
 */
export const PEER_SIGN_MS = 5_000;

/**
 * Questions to the engine which server has a VM, and about the keys of VMs, at once.
 * @unit questions
 * @past Further questions wait.
 */
export const MAX_PEER_QUESTIONS = 128;

/**
 * Requests and WebSockets that a server forwards at once.
 * @unit requests
 * @past A further request is refused.
 * @code limit_exceeded
 */
export const MAX_FORWARDED = 16_384;

/**
 * VMs of which a server remembers the key and the server that has them.
 * @unit VMs
 * @past The server forgets the VM that it has not used for longest, and asks again when it needs it.
 */
export const MAX_KNOWN_VMS = 50_000;

/**
 * Actors that one page of `client.vm.list()` behind an engine looks through.
 * @unit actors
 * @past The page ends early, with a cursor.
 */
export const MAX_SCANNED_VMS = 10_000;

/**
 * Signature of a forwarded request, with the rights of its sender.
 * @unit bytes
 * @past The request is refused.
 * @code connection_lost
 */
export const MAX_PEER_HEADER_BYTES = 32 * 1024;
