import { AgentVmError, limitExceeded, responseTooLarge } from "../api/errors.ts";
import type { CallSettledEvent } from "../api/events.ts";
import { MAX_RESULT_BYTES, RECONNECT_TIMEOUT_MS } from "../api/limits.ts";
import type { CallOutcome, CallRequest, CallTicket } from "../api/methods/transport.ts";
import { wireSize } from "../api/size.ts";
import type { FairPool } from "../base/fair-pool.ts";
import { assertNotDraining, serverStopping } from "../monitoring/draining.ts";
import { withQuickJson } from "../rivet/json-bytes.ts";
import { failedOutcome } from "../rivet/user-error.ts";
import { type KeptLimits, KeptOutcomes } from "./kept-outcomes.ts";
import { measured } from "./large-results.ts";
import {
  CALL_ABANDON_MS,
  CALL_RETENTION_MS,
  MAX_CALL_TOMBSTONES,
  MAX_CALLS,
  MAX_ENDED_CALLS,
  MAX_KEPT_OUTCOME_BYTES,
} from "./limits.ts";

/** Instances before the last one whose calls a note is about. An engine may start a VM several times in a row on a busy machine. */
const MAX_EARLIER_INSTANCES = 8;

/** A connection that receives outcomes of calls. */
export interface CallConnection {
  readonly id: string;
  send(event: "callSettled", payload: CallSettledEvent): Promise<void> | void;
}

/** Calls of an instance that has ended in order. Any other call with its id, or with an id of `earlier`, has never begun. */
export interface EndedCalls {
  instanceId: string;
  /** Instances shortly before it that have ended in order too. @default none */
  earlier?: string[];
  /** Keys of calls that have begun, and whose outcome their clients may not have. */
  begun: string[];
}

interface CallTableOptions {
  /** Keeps the VM awake while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** Receives the error of an outcome that could not be sent. The client repeats the call's key when it is back. */
  onUndelivered?(error: unknown): void;
  /** Whether connections may outlive the instance. @default false */
  mayMove?: boolean;
  /** The instance before this one, if it has ended in order. @default none: its calls are lost */
  before?: EndedCalls | undefined;
  limits?: Partial<CallLimits>;
  /** Outcomes that all VMs keep. @default the pool of the server */
  pool?: FairPool;
}

export interface CallLimits extends KeptLimits {
  /** Milliseconds until a call without a connection gets its signal. @default CALL_ABANDON_MS */
  abandonMs: number;
}

type RunCall = (gone: AbortSignal) => Promise<CallOutcome>;

interface RunningCall {
  /** Connections that wait for the outcome, by their ids. */
  waiting: Map<string, CallConnection>;
  /** Aborts when the client abandons the call, or when no connection has come back for `abandonMs`. */
  gone: AbortController;
  timer?: NodeJS.Timeout | undefined;
}

/**
 * The calls of one VM instance. Each key runs once. A client that lost its connection repeats its key and gets the first
 * outcome, even if the call has ended.
 */
export class CallTable {
  /** Differs from the id of every other instance of this VM. */
  readonly instanceId: string = crypto.randomUUID();
  readonly #options: CallTableOptions;
  readonly #limits: CallLimits;
  readonly #running = new Map<string, RunningCall>();
  readonly #kept: KeptOutcomes;
  /** Earlier instances that have ended in order, the newest first. A copy: the actor's state forgets its note. */
  readonly #before: readonly string[];
  readonly #begunBefore: ReadonlySet<string>;
  readonly #startedAt = performance.now();
  /** Whether the note for the next instance is written. */
  #isEnded = false;

  constructor(options: CallTableOptions) {
    this.#options = options;
    const { before } = options;
    this.#before = before === undefined ? [] : [before.instanceId, ...(before.earlier ?? [])];
    this.#begunBefore = new Set(before?.begun);
    this.#limits = {
      calls: MAX_CALLS,
      keptBytes: MAX_KEPT_OUTCOME_BYTES,
      retentionMs: CALL_RETENTION_MS,
      tombstones: MAX_CALL_TOMBSTONES,
      abandonMs: CALL_ABANDON_MS,
      ...options.limits,
    };
    this.#kept = new KeptOutcomes(this.#limits, options.pool);
  }

  /**
   * Starts a call, or joins the call of this key. The connection receives the outcome.
   *
   * @param run does the work. Its signal aborts when no client waits any more. Must not reject
   * @throws AgentVmError `server_stopping`: the call has not begun, and may be repeated
   */
  begin(connection: CallConnection, request: CallRequest, run: RunCall): CallTicket {
    const { callId } = request;
    this.acknowledge(request.received ?? []);
    const running = this.#running.get(callId);
    const kept = this.#kept.get(callId);
    if (running) {
      clearTimeout(running.timer);
      running.waiting.set(connection.id, connection);
    } else if (kept) void this.#deliver(connection, callId, kept);
    else if (this.#kept.isSpent(callId) || !this.#mayBegin(request)) {
      void this.#deliver(connection, callId, failedOutcome(callLost(request.action)));
    } else if (this.#running.size >= this.#limits.calls) {
      const error = limitExceeded(
        { MAX_CALLS: this.#limits.calls },
        "Call limit of the VM reached",
        "Wait for a running call to end.",
      );
      void this.#deliver(connection, callId, failedOutcome(error));
    } else {
      assertNotDraining();
      // The note for the next instance does not have this call, which would begin there too.
      if (this.#isEnded) throw serverStopping();
      this.#start(connection, request, run);
    }
    return this.#ticket;
  }

  /** Whether a call was meant for the instance before this one, which has not begun it. */
  isLeftOver({ callId, instanceId }: CallRequest): boolean {
    return (
      !this.#isEnded &&
      instanceId !== undefined &&
      this.#before.includes(instanceId) &&
      !this.#begunBefore.has(callId)
    );
  }

  #mayBegin(request: CallRequest): boolean {
    const { instanceId = this.instanceId } = request;
    return instanceId === this.instanceId || this.isLeftOver(request);
  }

  /** Returns what the next instance must know, at the end of this one; `undefined` if that is too much to keep. */
  ended(): EndedCalls | undefined {
    this.#isEnded = true;
    const { instanceId } = this;
    const begun = [...this.#running.keys(), ...this.#kept.keys()];
    if (begun.length > MAX_ENDED_CALLS) return undefined;
    const isOld = performance.now() - this.#startedAt > RECONNECT_TIMEOUT_MS;
    const all = [...begun, ...this.#begunBefore];
    if (this.#before.length === 0 || isOld || all.length > MAX_ENDED_CALLS) return { instanceId, begun };
    return { instanceId, earlier: this.#before.slice(0, MAX_EARLIER_INSTANCES), begun: all };
  }

  /** Forgets outcomes that have arrived. Clients never repeat their keys. */
  acknowledge(callIds: readonly string[]): CallTicket {
    for (const callId of callIds) this.#kept.forget(callId);
    return this.#ticket;
  }

  /** Aborts the signal of a call that its client no longer waits for. */
  abandon(callId: string): void {
    this.#running.get(callId)?.gone.abort();
  }

  /**
   * Forgets a closed connection. Its calls keep running. A call that no connection waits for gets its signal after
   * `abandonMs`.
   */
  disconnected(connectionId: string): void {
    for (const call of this.#running.values()) {
      if (!call.waiting.delete(connectionId) || call.waiting.size > 0) continue;
      call.timer = setTimeout(() => call.gone.abort(), this.#limits.abandonMs).unref();
    }
  }

  /** Bytes of all kept outcomes. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  /** Drops all outcomes. Running calls end by themselves. */
  dispose(): void {
    this.#kept.dispose();
  }

  get #ticket(): CallTicket {
    const { instanceId } = this;
    return { instanceId, answers: true, together: true, ...(this.#options.mayMove && { mayMove: true }) };
  }

  #start(connection: CallConnection, { callId, action }: CallRequest, run: RunCall): void {
    const gone = new AbortController();
    this.#running.set(callId, { waiting: new Map([[connection.id, connection]]), gone });
    this.#kept.makeRoom(this.#running.size);
    this.#options.keepAwake(
      run(gone.signal)
        .then(async (outcome) => this.#keep(callId, action, outcome, await measured(outcome)))
        .catch(() => {
          // The result cannot be encoded for the wire, such as one of endless depth.
          const text = `The result of ${action} cannot be sent`;
          const outcome = failedOutcome(new AgentVmError("internal_error", text, { action }));
          this.#keep(callId, action, outcome, wireSize(outcome));
        }),
    );
  }

  #keep(callId: string, action: string, result: CallOutcome, size: number): void {
    const outcome = size > MAX_RESULT_BYTES ? failedOutcome(tooLarge(action, size)) : withQuickJson(result);
    const bytes = outcome === result ? size : wireSize(outcome);
    const call = this.#running.get(callId);
    clearTimeout(call?.timer);
    this.#running.delete(callId);
    for (const connection of call?.waiting.values() ?? []) void this.#deliver(connection, callId, outcome);
    this.#kept.add(callId, outcome, bytes, this.#running.size);
  }

  async #deliver(connection: CallConnection, callId: string, outcome: CallOutcome): Promise<void> {
    try {
      await connection.send("callSettled", { callId, outcome });
    } catch (error) {
      // JSON carries bytes at 4/3 of their size, so an outcome that fits CBOR may not fit a JSON connection.
      this.#options.onUndelivered?.(error);
      if (!outcome.ok) return;
      await this.#deliver(connection, callId, failedOutcome(tooLarge("the call", wireSize(outcome))));
    }
  }
}

export function callLost(action: string): AgentVmError {
  return new AgentVmError(
    "call_lost",
    `The outcome of ${action} is lost. The call may or may not have taken effect.`,
    { action },
  );
}

function tooLarge(action: string, bytes: number): AgentVmError {
  return responseTooLarge(action, bytes, MAX_RESULT_BYTES, "Ask for it in parts.");
}
