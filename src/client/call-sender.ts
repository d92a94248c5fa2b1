import type { AgentVmError } from "../api/errors.ts";
import { MAX_CALLS_TOGETHER } from "../api/limits.ts";
import type { CallRequest, CallTicket } from "../api/methods/transport.ts";
import type { Link } from "./link.ts";
import type { Receipts } from "./receipts.ts";
import { toAgentVmError } from "./rivet/errors.ts";

/** Arguments of a call that may share a message with others, in bytes. */
const MAX_SMALL_CALL_BYTES = 2048;

/** A call without an outcome. */
export interface PendingCall {
  callId: string;
  action: string;
  args: unknown[];
  /** Bytes of the arguments. */
  bytes: number;
  /** Whether the call waits for a connection. */
  isPatient: boolean;
  /** VM instance that the client has sent the call to; `undefined` before. */
  instanceId: string | undefined;
  /** Connection over which the client has sent the call last; `undefined` if no server has begun it. */
  epoch: number | undefined;
  resolve(output: unknown): void;
  reject(error: unknown): void;
}

interface SenderEvents {
  /** Whether a call still has no outcome. */
  isPending(call: PendingCall): boolean;
  /** The server has begun calls, and says which instance answers. */
  met(ticket: unknown): void;
  settled(event: unknown): void;
  /** The server has refused to begin a call. */
  refused(call: PendingCall, error: AgentVmError): void;
}

/** Sends calls to the server. Small calls of one microtask share a message. */
export class CallSender {
  readonly #link: Link;
  readonly #receipts: Receipts;
  readonly #events: SenderEvents;
  /** Abilities of the server. */
  #can: Pick<CallTicket, "answers" | "together"> = {};
  /** Calls that leave at the end of the current microtask. */
  #leaving: PendingCall[] = [];

  constructor(link: Link, receipts: Receipts, events: SenderEvents) {
    this.#link = link;
    this.#receipts = receipts;
    this.#events = events;
  }

  /** Learns from a ticket what the server can do. */
  learn(ticket: unknown): void {
    this.#can = Object(ticket);
  }

  /** Sends a call over the current connection, which its `epoch` names. Calls leave in their order. */
  send(call: PendingCall): void {
    if (!this.#can.together || call.bytes > MAX_SMALL_CALL_BYTES) {
      this.flush();
      this.#begin(call);
    } else if (this.#leaving.push(call) === 1) queueMicrotask(() => this.flush());
    else if (this.#leaving.length === MAX_CALLS_TOGETHER) this.flush();
  }

  /** Sends the calls that are about to leave. */
  flush(): void {
    const { epoch } = this.#link;
    const leaving = this.#leaving.splice(0);
    const calls = leaving.filter((call) => call.epoch === epoch && this.#events.isPending(call));
    const [call] = calls;
    if (calls.length > 1) this.#beginTogether(calls);
    else if (call) this.#begin(call);
  }

  /** Begins calls with one message. If the server refuses it, each call begins by itself: a key runs once. */
  #beginTogether(calls: readonly PendingCall[]): void {
    const { epoch } = this.#link;
    const received = this.#receipts.take();
    const requests = calls.map((call, index) => requestOf(call, index === 0 ? received : []));
    this.#link.action("beginCalls", [requests]).then(
      (ticket) => {
        if (epoch === this.#link.epoch) this.#events.met(ticket);
      },
      () => {
        this.#receipts.putBack(received);
        if (epoch !== this.#link.epoch) return;
        for (const call of calls) if (this.#events.isPending(call)) this.#begin(call);
      },
    );
  }

  #begin(call: PendingCall): void {
    const { callId } = call;
    const { epoch } = this.#link;
    const received = this.#receipts.take();
    const request = requestOf(call, received);
    if (this.#can.answers) request.answer = true;
    this.#link.action("beginCall", [request]).then(
      (ticket) => {
        if (epoch === this.#link.epoch) this.#events.met(ticket);
        this.#events.settled({ callId, outcome: Object(ticket).outcome });
      },
      (error: unknown) => {
        if (epoch === this.#link.epoch) this.#events.refused(call, toAgentVmError(error));
        else this.#receipts.putBack(received);
      },
    );
  }
}

function requestOf({ callId, action, args, instanceId }: PendingCall, received: string[]): CallRequest {
  return { callId, action, args, received, ...(instanceId !== undefined && { instanceId }) };
}
