import { type AgentVmError, connectionLost } from "../api/errors.ts";
import type { CallSettledEvent } from "../api/events.ts";
import { MAX_ACKNOWLEDGED_CALLS, RECONNECT_TIMEOUT_MS } from "../api/limits.ts";
import type { CallOutcome, CallRequest, CallTicket } from "../api/types.ts";
import { errorOf, isTransient, toAgentVmError } from "./errors.ts";
import type { Link } from "./link.ts";
import { Listeners } from "./listeners.ts";
import { backgroundTimer, randomId } from "./timers.ts";
import { checkArguments } from "./wire.ts";

/** Outcomes that nothing else acknowledges are acknowledged after this long, in milliseconds. */
const ACKNOWLEDGE_DELAY_MS = 100;

/** Closing a connection waits no longer than this for the last acknowledgement, in milliseconds. */
const ACKNOWLEDGE_TIMEOUT_MS = 500;

interface PendingCall {
  callId: string;
  action: string;
  args: unknown[];
  /** The VM instance that has been told of the call; `undefined` while none has. */
  instanceId: string | undefined;
  resolve(output: unknown): void;
  reject(error: unknown): void;
}

/**
 * Actions over a link, any number at a time: each is begun under a key of its own and its outcome comes as an event, so
 * that a long one does not hold up the others. When the connection breaks, unfinished calls are begun again under their
 * keys on the next one, and the server, which knows the keys, runs none of them twice.
 */
export class CallChannel {
  readonly #link: Link;
  readonly #pending = new Map<string, PendingCall>();
  /** Keys whose outcome has come and that the server still keeps. */
  #received: string[] = [];
  /** Calls that the server is being told nobody waits for. */
  readonly #farewells = new Set<Promise<unknown>>();
  #acknowledgement: ReturnType<typeof setTimeout> | undefined;
  /** The VM instance at the other end; `undefined` while there is no connection. */
  #instanceId: string | undefined;
  /** An actor of another kind, without the call protocol. */
  #plain = false;
  readonly #patient: boolean;
  #patience: ReturnType<typeof setTimeout> | undefined;
  readonly #ready = new Listeners<[]>();

  /** @param patient calls that find no connection wait for one, instead of failing with the next vain attempt. */
  constructor(link: Link, patient: boolean) {
    this.#link = link;
    this.#patient = patient;
    link.on("callSettled", (event: CallSettledEvent) => this.#settle(event));
    link.opened.add(() => void this.#greet());
    link.down.add((error, wasUp) => this.#down(error, wasUp));
    link.statusChanged.add((status) => {
      if (status !== "connected") this.#instanceId = undefined;
    });
  }

  /** Whether a call would be begun at once. */
  get isReady(): boolean {
    return this.#instanceId !== undefined;
  }

  /**
   * Runs an action to its end.
   *
   * @param signal gives up waiting, and tells the server so.
   * @throws AgentVmError the action's own; `connection_lost` when the server cannot be reached, or does not come back
   * within RECONNECT_TIMEOUT_MS; `call_lost` when it came back without memory of the call.
   */
  async call(action: string, args: unknown[], signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    checkArguments(action, args);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const call: PendingCall = {
      callId: randomId(),
      action,
      args,
      instanceId: undefined,
      resolve,
      reject,
    };
    const abort = () => {
      this.#finish(call.callId, () => reject(signal?.reason));
      this.#abandon(call);
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#pending.set(call.callId, call);
    if (this.isReady) this.#begin(call);
    else {
      this.#wait();
      this.#link.open();
    }
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Resolves once the server has every subscription made so far, or when there is no reaching it. */
  async synced(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.isReady)
      this.#link.action("acknowledge", [[]]).then(
        () => resolve(),
        () => resolve(),
      );
    else {
      const ends = [this.#ready.add(resolve), this.#link.down.add(() => resolve())];
      promise.then(() => {
        for (const end of ends) end();
      });
    }
    await promise;
  }

  /** Tells the server, where it can be told, that nobody waits for a call which it may have begun. */
  #abandon({ callId, instanceId }: PendingCall): void {
    if (this.#plain || !this.isReady || instanceId === undefined) return;
    // Lost with the connection: the server waits for it to come back, and then knows by itself.
    const told = this.#link.action("abandonCall", [callId]).catch(() => undefined);
    this.#farewells.add(told);
    void told.then(() => this.#farewells.delete(told));
  }

  /** Lets the server forget what has arrived, and hear what is given up; done before a connection is closed. */
  async acknowledge(): Promise<void> {
    clearTimeout(this.#acknowledgement);
    this.#acknowledgement = undefined;
    const received = this.#takeReceived();
    if ((received.length === 0 && this.#farewells.size === 0) || !this.isReady) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ACKNOWLEDGE_TIMEOUT_MS);
    // Lost with the connection: the server drops what is too old by itself.
    const acknowledged = this.#link.action("acknowledge", [received]).catch(() => undefined);
    await Promise.race([late, Promise.all([acknowledged, ...this.#farewells])]);
    clearTimeout(timer);
  }

  /** Ends every call that waits. */
  fail(error: AgentVmError): void {
    for (const call of [...this.#pending.values()]) {
      this.#finish(call.callId, () => call.reject(error));
      this.#abandon(call);
    }
  }

  /** Asks a new connection which instance it leads to, then begins what is not finished. */
  async #greet(): Promise<void> {
    const { epoch } = this.#link;
    try {
      const ticket = (await this.#link.action("acknowledge", [this.#takeReceived()])) as CallTicket;
      if (epoch !== this.#link.epoch) return;
      this.#instanceId = ticket.instanceId;
    } catch (error) {
      if (epoch !== this.#link.epoch) return;
      const failure = toAgentVmError(error);
      if (failure.code !== "action_not_found") return this.#link.restart(failure);
      this.#plain = true;
      this.#instanceId = "";
    }
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#ready.emit();
    for (const call of this.#pending.values()) this.#begin(call);
  }

  #begin(call: PendingCall): void {
    if (this.#plain) this.#callPlain(call);
    else this.#beginKeyed(call);
  }

  #beginKeyed(call: PendingCall): void {
    const { callId, action, args } = call;
    const { epoch } = this.#link;
    const received = this.#takeReceived();
    call.instanceId ??= this.#instanceId;
    const request: CallRequest = { callId, action, args, received };
    if (call.instanceId !== undefined) request.instanceId = call.instanceId;
    this.#link.action("beginCall", [request]).catch((error: unknown) => {
      if (epoch !== this.#link.epoch) this.#received.push(...received);
      else this.#finish(callId, () => call.reject(toAgentVmError(error)));
    });
  }

  /** An actor without the call protocol: an action that may have run is not repeated. */
  #callPlain(call: PendingCall): void {
    if (call.instanceId !== undefined) {
      this.#finish(call.callId, () => call.reject(connectionLost("The connection was lost during the call")));
      return;
    }
    call.instanceId = "";
    const { epoch } = this.#link;
    this.#link.action(call.action, call.args).then(
      (output) => this.#finish(call.callId, () => call.resolve(output)),
      (error: unknown) => {
        if (epoch === this.#link.epoch) this.#finish(call.callId, () => call.reject(toAgentVmError(error)));
      },
    );
  }

  #settle({ callId, outcome }: CallSettledEvent): void {
    this.#received.push(callId);
    this.#acknowledgement ??= backgroundTimer(() => void this.acknowledge(), ACKNOWLEDGE_DELAY_MS);
    const call = this.#pending.get(callId);
    if (call) this.#finish(callId, () => conclude(call, outcome));
  }

  #finish(callId: string, conclude: () => void): void {
    if (this.#pending.delete(callId)) conclude();
    if (this.#pending.size > 0) return;
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }

  #down(error: AgentVmError, wasUp: boolean): void {
    if (!isTransient(error)) this.fail(error);
    if (!this.#patient && !wasUp && error.code === "connection_lost") {
      // What the server does not know of yet is told at once, as with any request; what it runs is waited for.
      for (const call of this.#pending.values()) {
        if (call.instanceId === undefined) this.#finish(call.callId, () => call.reject(error));
      }
    }
    if (this.#pending.size > 0) this.#wait();
  }

  #wait(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.fail(connectionLost("The server did not come back in time"));
    }, RECONNECT_TIMEOUT_MS);
  }

  #takeReceived(): string[] {
    return this.#received.splice(0, MAX_ACKNOWLEDGED_CALLS);
  }
}

function conclude(call: PendingCall, outcome: CallOutcome): void {
  if (outcome.ok) call.resolve(outcome.output);
  else call.reject(errorOf(outcome));
}
