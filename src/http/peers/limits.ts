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
 * Time for a server to say whether it has a VM, before a request is forwarded to it.
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
 * Time for a VM to say which server has it, before it is asked once more.
 * @unit ms
 * @past The server asks once more, and waits twice as long. The first answer counts.
 */
export const PEER_ASK_AGAIN_MS = 1_500;

/**
 * Time for the engine to answer a question about actors, or for the actor that notes tokens to name some, before the question is asked once more.
 * @unit ms
 * @past The server asks once more, and waits twice as long. The first answer counts. A question that makes something is not asked again.
 */
export const ENGINE_ASK_AGAIN_MS = 5_000;

/**
 * Pause between two signs of life of a server with forwarded requests under way.
 * @unit ms
 * @past After two signs that do not come, the requests under way to that server end.
 * @code call_lost
 */
export const PEER_SIGN_MS = 5_000;

/**
 * Questions to the engine which server has a VM, and about the keys of VMs, at once.
 * @unit questions
 * @past Further questions wait, for at most PEER_WAKE_MS.
 * @code connection_lost
 */
export const MAX_PEER_QUESTIONS = 128;

/**
 * Questions to the engine about the actor of a request without access, such as that for a preview, at once.
 * @unit questions
 * @past Further questions wait.
 */
export const MAX_STRANGER_QUESTIONS = 16;

/**
 * Questions to the engine that wait because of MAX_STRANGER_QUESTIONS, and as many that wait because of MAX_STRANGER_WAKES.
 * @unit questions
 * @past A further request is refused with 429.
 * @code limit_exceeded
 */
export const MAX_STRANGER_QUESTIONS_WAITING = 256;

/**
 * Questions to the engine which server has a VM, for requests without access, at once. Each may wake a VM.
 * @unit questions
 * @past Further questions wait, for at most PEER_WAKE_MS.
 * @code vm_stopped
 */
export const MAX_STRANGER_WAKES = 64;

/**
 * Time in which a server does not ask again about an actor that the engine does not know, for a request without access.
 * @unit ms
 * @past The server asks again.
 */
export const UNKNOWN_ACTOR_MS = 5_000;

/**
 * Questions to other servers how their VMs are, for lists, at once.
 * @unit questions
 * @past Further questions wait, for at most PEER_LIST_MS.
 */
export const MAX_PEER_FACTS = 128;

/**
 * Time for a server to say how its VMs are, for a list.
 * @unit ms
 * @past The list shows the VMs as sleeping, and the server is not asked for PEER_SILENT_MS.
 */
export const PEER_FACTS_MS = 2_000;

/**
 * Time in which lists do not ask a server that has not answered.
 * @unit ms
 * @past Lists ask the server again.
 */
export const PEER_SILENT_MS = 10_000;

/**
 * Time in which one page of `client.vm.list()` waits for what servers say of their VMs.
 * @unit ms
 * @past The page ends early, with a cursor.
 */
export const PEER_LIST_MS = 5_000;

/**
 * Time for a VM to say how it is, for a list of all servers.
 * @unit ms
 * @past The list shows the VM as sleeping.
 */
export const VM_FACTS_MS = 1_000;

/**
 * Answer of a server that says how up to 100 of its VMs are.
 * @unit bytes
 * @past The list shows the VMs as sleeping.
 */
export const MAX_PEER_FACTS_BYTES = 4 * 1024 * 1024;

/**
 * Requests and WebSockets that a server forwards at once.
 * @unit requests
 * @past A further request is refused.
 * @code limit_exceeded
 */
export const MAX_FORWARDED = 16_384;

/**
 * Longest pause before a request that has not begun is handed to another server once more.
 * @unit ms
 */
export const PEER_RETRY_MS = 250;

/**
 * Open connections to the address for other servers that have not shown the secret.
 * @unit connections
 * @past A further connection is refused with 429.
 * @code connection_lost
 */
export const MAX_PEER_STRANGERS = 32_768;

/**
 * Open connections from one address to the address for other servers that have not shown the secret. At least MAX_FORWARDED, because
 * each forwarded request has a connection.
 * @unit connections
 * @past A further connection from the address is refused with 429.
 * @code connection_lost
 */
export const MAX_PEER_STRANGERS_PER_ADDRESS = 16_384;

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
