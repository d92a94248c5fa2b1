import type { CallSettledEvent } from "../api/events.ts";
import type { CallOutcome, CallTicket } from "../api/methods/transport.ts";
import { fitsWire } from "../api/size.ts";
import { whileQuiet } from "../rivet/socket-turns.ts";
import type { CallConnection } from "./calls.ts";

/** Longest time for which the answer to `beginCall` waits for the outcome, in milliseconds. */
const ANSWER_WAIT_MS = 20;

/** A larger outcome is an event. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** A connection that receives the outcome of one call with the answer to `beginCall`, if the call ends soon. */
export class CallAnswer implements CallConnection {
  readonly #connection: CallConnection;
  readonly #settled = Promise.withResolvers<void>();
  #outcome: CallOutcome | undefined;
  #isSent = false;

  constructor(connection: CallConnection) {
    this.#connection = connection;
  }

  get id(): string {
    return this.#connection.id;
  }

  async send(event: "callSettled", payload: CallSettledEvent): Promise<void> {
    const isEvent = this.#isSent || !fitsWire(payload.outcome, MAX_ANSWER_BYTES);
    if (!isEvent) this.#outcome = payload.outcome;
    this.#settled.resolve();
    if (isEvent) await this.#connection.send(event, payload);
  }

  /** Returns the answer. Later messages of the connection do not wait for the outcome. */
  async over(ticket: CallTicket): Promise<CallTicket> {
    if (this.#outcome === undefined) await whileQuiet(this.#settled.promise, ANSWER_WAIT_MS);
    this.#isSent = true;
    return this.#outcome === undefined ? ticket : { ...ticket, outcome: this.#outcome };
  }
}
