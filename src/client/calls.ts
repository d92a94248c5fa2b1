import { type AgentVmError, connectionLost, type ErrorMetadata, receivedError } from "../api/errors.ts";
import type { CallSettledEvent } from "../api/events.ts";
import { RECONNECT_TIMEOUT_MS } from "../api/limits.ts";
import type { CallOutcome, CallTicket } from "../api/methods/transport.ts";
import { deferred } from "../base/deferred.ts";
import { within } from "../base/within.ts";
import { CallSender, type PendingCall } from "./call-sender.ts";
import { isTransient, type Link } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { backgroundTimer, Receipts } from "./receipts.ts";
import { isBetweenServers, toAgentVmError } from "./rivet/errors.ts";
import { checkArguments } from "./wire.ts";

/**
 * Silence after which the client asks which instance answers before it begins a call, if the connection may outlive the
 * instance. A call that begins at once would be lost after a move, although no instance has run it.
 */
const UNSURE_MS = 1_000;

/** Pause between two questions to a VM whose server shuts down behind a Rivet Engine, in milliseconds. */
const MOVE_PAUSE_MS = 200;

/** Longest wait for the last acknowledgement when a connection closes, in milliseconds. */
const ACKNOWLEDGE_TIMEOUT_MS = 500;

/**
 * Calls over a link, any number at a time. Each call has its own key, and its outcome arrives as an event, so a long call
 * does not delay others. When the connection breaks, the channel repeats unfinished calls under their keys on the next
 * connection. The server remembers the keys and runs no call twice.
 */
export class CallChannel {
  readonly #link: Link;
  readonly #pending = new Map<string, PendingCall>();
  readonly #receipts = new Receipts(() => void this.acknowledge());
  /** Messages on their way that abandon a call. */
  readonly #abandoning = new Set<Promise<unknown>>();
  /** The VM instance at the other end; `undefined` while there is no connection. */
  #instanceId: string | undefined;
  /** The last VM instance at the other end, also while there is no connection. */
  #lastInstanceId: string | undefined;
  /** Whether the connection may outlive the VM instance. */
  #mayMove = false;
  readonly #sender: CallSender;
  /** The server shuts down and takes no new calls. They wait until it is back. */
  #isRestarting = false;
  readonly #isPatient: boolean;
  /** Pause before the next question whether the VM has moved. */
  #question: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  readonly #ready = new Listeners<[]>();

  /** @param options `isPatient: true`: calls wait for a connection. `false`: calls fail with the first attempt that fails */
  constructor(link: Link, { isPatient }: { isPatient: boolean }) {
    this.#link = link;
    this.#isPatient = isPatient;
    this.#sender = new CallSender(link, this.#receipts, {
      isPending: ({ callId }) => this.#pending.has(callId),
      met: (ticket) => this.#meet(ticket),
      settled: (event) => this.#onSettled(event),
      refused: (call, error) => this.#onRefused(call, error),
    });
    link.on("callSettled", (event) => this.#onSettled(event));
    link.opened.add(() => void this.#onOpen());
    link.down.add((error, wasUp) => this.#onDown(error, wasUp));
    link.beat.add((ticket) => this.#meet(ticket));
    link.statusChanged.add((status) => {
      if (status !== "connected") this.#instanceId = undefined;
    });
  }

  /** `true` while the channel can begin a call at once. */
  get isReady(): boolean {
    return this.#instanceId !== undefined;
  }

  /** `true` while the server shuts down, until it is back. Calls wait for it. */
  get isRestarting(): boolean {
    return this.#isRestarting;
  }

  /**
   * Runs an action to its end.
   *
   * @param signal stops the wait and abandons the call on the server
   * @param isPatient whether the call waits for a connection. @default as the channel
   * @throws AgentVmError the action's own error; `connection_lost` if the server cannot be reached, or stays unreachable for
   * RECONNECT_TIMEOUT_MS; `call_lost` if the server has restarted and forgotten the call
   */
  async call(
    action: string,
    args: unknown[],
    signal?: AbortSignal,
    isPatient: boolean = this.#isPatient,
  ): Promise<unknown> {
    signal?.throwIfAborted();
    const bytes = checkArguments(action, args);
    const { promise, resolve, reject } = deferred<unknown>();
    const unsent = { instanceId: undefined, epoch: undefined };
    const call: PendingCall = {
      callId: randomId(),
      action,
      args,
      bytes,
      isPatient,
      ...unsent,
      resolve,
      reject,
    };
    const abort = () => {
      this.#finish(call.callId, () => reject(signal?.reason));
      this.#abandon(call);
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#pending.set(call.callId, call);
    if (this.isReady && this.#mayMove && this.#link.silence > UNSURE_MS) void this.#onOpen();
    else if (this.isReady) {
      // The old connection still brings the outcomes of earlier calls.
      if (!this.#isRestarting) this.#begin(call);
    } else {
      this.#wait();
      this.#link.open();
    }
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Resolves when the server has every subscription made so far, or when it cannot be reached, or after the link's end. */
  async synced(): Promise<void> {
    if (this.#link.status === "idle") return;
    const { promise, resolve } = deferred<void>();
    if (this.isReady)
      void this.#link
        .action("acknowledge", [[]])
        .catch(() => undefined)
        .then(() => resolve());
    else {
      const ends = [
        this.#ready.add(resolve),
        this.#link.down.add(() => resolve()),
        this.#link.statusChanged.add((status) => {
          if (status === "idle") resolve();
        }),
      ];
      promise.then(() => {
        for (const end of ends) end();
      });
    }
    await promise;
  }

  /** Abandons a call on the server, if the server may have begun it and can be reached. */
  #abandon({ callId, instanceId }: PendingCall): void {
    if (!this.isReady || instanceId === undefined) return;
    // If the connection breaks, the message is lost. The server then abandons the call after CALL_ABANDON_MS.
    const abandoned = this.#link.action("abandonCall", [callId]).catch(() => undefined);
    this.#abandoning.add(abandoned);
    void abandoned.then(() => this.#abandoning.delete(abandoned));
  }

  /** Acknowledges outcomes and waits for pending `abandonCall` messages. Call it before the connection closes. */
  async acknowledge(): Promise<void> {
    const received = this.#receipts.takeLast();
    if ((received.length === 0 && this.#abandoning.size === 0) || !this.isReady) return;
    // If the connection breaks, the message is lost. The server drops old outcomes by itself.
    const acknowledged = this.#link.action("acknowledge", [received]).catch(() => undefined);
    await within(Promise.all([acknowledged, ...this.#abandoning]), ACKNOWLEDGE_TIMEOUT_MS);
  }

  /** Rejects every waiting call. Calls that are about to leave begin all the same. */
  fail(error: AgentVmError): void {
    this.#sender.flush();
    for (const call of [...this.#pending.values()]) {
      this.#finish(call.callId, () => call.reject(error));
      this.#abandon(call);
    }
  }

  /** Asks which instance a connection leads to, then begins the calls that are not on their way. */
  async #onOpen(): Promise<void> {
    const { epoch } = this.#link;
    try {
      const ticket = await this.#link.action("acknowledge", [this.#receipts.take()]);
      if (epoch !== this.#link.epoch || !this.#meet(ticket)) return;
    } catch (error) {
      if (epoch !== this.#link.epoch) return;
      return this.#link.restart(toAgentVmError(error));
    }
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#isRestarting = false;
    this.#ready.emit();
    for (const call of this.#pending.values()) if (call.epoch !== epoch) this.#begin(call);
  }

  /**
   * Notes the instance that answers. If the connection has outlived an instance, opens another connection, over which
   * calls of the old instance end with `call_lost`.
   *
   * @returns whether the connection stays
   */
  #meet(ticket: unknown): boolean {
    const { instanceId, mayMove = false } = Object(ticket) as Partial<CallTicket>;
    if (instanceId === undefined) {
      this.#link.restart(connectionLost("The server does not say which instance of the VM answers"));
      return false;
    }
    if (this.#instanceId !== undefined && this.#instanceId !== instanceId) {
      this.#link.renew(connectionLost("Another instance of the VM answers"));
      return false;
    }
    this.#instanceId = instanceId;
    this.#mayMove = mayMove;
    this.#sender.learn(ticket);
    const isNew = this.#lastInstanceId !== undefined && this.#lastInstanceId !== instanceId;
    this.#lastInstanceId = instanceId;
    if (isNew) this.#link.tell("vmRestarted", {});
    return true;
  }

  #begin(call: PendingCall): void {
    call.epoch = this.#link.epoch;
    call.instanceId ??= this.#instanceId;
    this.#sender.send(call);
  }

  #onRefused(call: PendingCall, error: AgentVmError): void {
    if (error.code === "server_stopping") {
      this.#isRestarting = true;
      Object.assign(call, { instanceId: undefined, epoch: undefined });
      if (this.#mayMove) this.#askAgain(this.#link.epoch);
    } else this.#finish(call.callId, () => call.reject(error));
  }

  /** Asks soon whether another server has the VM. The connection itself stays open and does not tell. */
  #askAgain(epoch: number): void {
    this.#question ??= backgroundTimer(() => {
      this.#question = undefined;
      if (epoch === this.#link.epoch && this.isReady && this.#isRestarting) void this.#onOpen();
    }, MOVE_PAUSE_MS);
  }

  #onSettled(event: unknown): void {
    const { callId, outcome } = Object(event) as Partial<CallSettledEvent>;
    if (callId === undefined || outcome === undefined) return;
    this.#receipts.add(callId);
    const call = this.#pending.get(callId);
    if (call) this.#finish(callId, () => conclude(call, outcome));
  }

  #finish(callId: string, conclude: () => void): void {
    if (this.#pending.delete(callId)) conclude();
    if (this.#pending.size > 0) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  #onDown(error: AgentVmError, wasUp: boolean): void {
    if (!isTransient(error)) this.fail(error);
    if (isBetweenServers(error)) this.#isRestarting = true;
    if (!this.#isRestarting && !wasUp && error.code === "connection_lost") {
      // A call that the server has not received fails at once, like a request. A call that it may run keeps waiting.
      for (const call of this.#pending.values()) {
        if (!call.isPatient && call.instanceId === undefined)
          this.#finish(call.callId, () => call.reject(error));
      }
    }
    if (this.#pending.size > 0) this.#wait();
  }

  #wait(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.#isRestarting = false;
      this.fail(connectionLost(`The server was not reachable for ${RECONNECT_TIMEOUT_MS} ms`));
    }, RECONNECT_TIMEOUT_MS);
  }
}

function conclude(call: PendingCall, outcome: CallOutcome): void {
  if (outcome.ok) {
    call.resolve(outcome.output);
    return;
  }
  const { code, message, metadata } = Object(outcome.error) as Partial<typeof outcome.error>;
  call.reject(receivedError(String(code), String(message), (metadata ?? {}) as ErrorMetadata));
}

/** Returns 16 random bytes in hexadecimal. Pages without HTTPS have no `crypto.randomUUID`. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
