import { AgentVmError, limitExceeded, responseTooLarge } from "../api/errors.ts";
import type { CallSettledEvent } from "../api/events.ts";
import {
  CALL_ABANDON_MS,
  CALL_RETENTION_MS,
  MAX_CALL_TOMBSTONES,
  MAX_CALLS,
  MAX_KEPT_OUTCOME_BYTES,
  MAX_RESULT_BYTES,
} from "../api/limits.ts";
import { wireSize } from "../api/size.ts";
import type { CallOutcome, CallRequest, CallTicket } from "../api/types.ts";
import { failedOutcome } from "./errors.ts";

/** A connection that can be told how a call ended. */
export interface CallConnection {
  readonly id: string;
  send(event: "callSettled", payload: CallSettledEvent): void;
}

export interface CallTableOptions {
  /** The VM must stay awake while the promise is pending. */
  keepAwake(work: Promise<unknown>): void;
  /** Told of an outcome that could not be sent; the client asks again when it is back. */
  onUndelivered?(error: unknown): void;
  limits?: Partial<CallLimits>;
}

export interface CallLimits {
  /** Calls that run or whose outcome is kept. @default MAX_CALLS */
  calls: number;
  /** @default MAX_KEPT_OUTCOME_BYTES */
  keptBytes: number;
  /** @default CALL_RETENTION_MS */
  retentionMs: number;
  /** @default CALL_ABANDON_MS */
  abandonMs: number;
  /** @default MAX_CALL_TOMBSTONES */
  tombstones: number;
}

export type RunCall = (gone: AbortSignal) => Promise<CallOutcome>;

interface RunningCall {
  /** Connections that wait for it. */
  waiting: Set<CallConnection>;
  /** Aborted when the client has said so, or when none of them has come back for a while. */
  gone: AbortController;
  timer?: NodeJS.Timeout | undefined;
}

interface KeptOutcome {
  outcome: CallOutcome;
  bytes: number;
  settledAt: number;
}

/**
 * The calls of one VM instance. Each key runs once: a client that lost its connection repeats its key and is told the
 * first outcome, whether the call still runs or has ended. An outcome is kept until the client has acknowledged it,
 * until it is too old, or until others need its place; from then on its key is only known as spent (`call_lost`).
 */
export class CallTable {
  /** Tells this instance of the VM from the ones before and after it. */
  readonly instanceId: string = crypto.randomUUID();
  readonly #options: CallTableOptions;
  readonly #limits: CallLimits;
  readonly #running = new Map<string, RunningCall>();
  /** Oldest first. */
  readonly #kept = new Map<string, KeptOutcome>();
  #keptBytes = 0;
  /** Oldest first. */
  readonly #spent = new Set<string>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: CallTableOptions) {
    this.#options = options;
    this.#limits = {
      calls: MAX_CALLS,
      keptBytes: MAX_KEPT_OUTCOME_BYTES,
      retentionMs: CALL_RETENTION_MS,
      tombstones: MAX_CALL_TOMBSTONES,
      abandonMs: CALL_ABANDON_MS,
      ...options.limits,
    };
  }

  /**
   * Starts a call or joins the one under the same key; the outcome is sent to the connection.
   *
   * @param run does the work, and is told when nobody waits for it any more; must not reject.
   */
  begin(connection: CallConnection, request: CallRequest, run: RunCall): CallTicket {
    const { callId } = request;
    this.acknowledge(request.received ?? []);
    const running = this.#running.get(callId);
    const kept = this.#kept.get(callId);
    if (running) {
      clearTimeout(running.timer);
      running.waiting.add(connection);
    } else if (kept) this.#deliver(connection, callId, kept.outcome);
    else if (this.#spent.has(callId) || (request.instanceId ?? this.instanceId) !== this.instanceId) {
      this.#deliver(connection, callId, failedOutcome(callLost(request)));
    } else if (this.#running.size >= this.#limits.calls) {
      const error = limitExceeded("MAX_CALLS", this.#limits.calls, "The VM runs as many calls as it can");
      this.#deliver(connection, callId, failedOutcome(error));
    } else this.#start(connection, request, run);
    return { instanceId: this.instanceId };
  }

  /** Forgets outcomes that have arrived; their keys are never repeated. */
  acknowledge(callIds: readonly string[]): CallTicket {
    for (const callId of callIds) this.#forget(callId);
    return { instanceId: this.instanceId };
  }

  /** The client does not wait for a call any more. */
  abandon(callId: string): void {
    this.#running.get(callId)?.gone.abort();
  }

  /**
   * A connection has ended: nobody is told through it any more. What it began runs on; what is worth nothing without a
   * caller is told when none has come back.
   */
  disconnected(connectionId: string): void {
    for (const call of this.#running.values()) {
      const before = call.waiting.size;
      for (const connection of call.waiting)
        if (connection.id === connectionId) call.waiting.delete(connection);
      if (call.waiting.size > 0 || before === 0) continue;
      call.timer = setTimeout(() => call.gone.abort(), this.#limits.abandonMs).unref();
    }
  }

  /** Frees what is kept. Calls that still run end by themselves. */
  dispose(): void {
    clearTimeout(this.#sweep);
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  #start(connection: CallConnection, { callId, action }: CallRequest, run: RunCall): void {
    const gone = new AbortController();
    this.#running.set(callId, { waiting: new Set([connection]), gone });
    this.#makeRoom();
    this.#options.keepAwake(run(gone.signal).then((outcome) => this.#settle(callId, action, outcome)));
  }

  #settle(callId: string, action: string, settled: CallOutcome): void {
    let outcome = settled;
    let bytes = wireSize(outcome);
    if (bytes > MAX_RESULT_BYTES) {
      outcome = failedOutcome(tooLarge(action, bytes));
      bytes = wireSize(outcome);
    }
    const call = this.#running.get(callId);
    clearTimeout(call?.timer);
    this.#running.delete(callId);
    this.#kept.set(callId, { outcome, bytes, settledAt: Date.now() });
    this.#keptBytes += bytes;
    for (const connection of call?.waiting ?? []) this.#deliver(connection, callId, outcome);
    this.#makeRoom();
    this.#scheduleSweep();
  }

  #deliver(connection: CallConnection, callId: string, outcome: CallOutcome): void {
    try {
      connection.send("callSettled", { callId, outcome });
    } catch (error) {
      // A connection that speaks JSON carries bytes at 4/3 of their size: what fits others may not fit it.
      this.#options.onUndelivered?.(error);
      if (!outcome.ok) return;
      this.#deliver(connection, callId, failedOutcome(tooLarge("the call", wireSize(outcome))));
    }
  }

  #makeRoom(): void {
    for (const callId of this.#kept.keys()) {
      const crowded = this.#running.size + this.#kept.size > this.#limits.calls;
      if (!crowded && this.#keptBytes <= this.#limits.keptBytes) return;
      this.#spend(callId);
    }
  }

  #spend(callId: string): void {
    this.#forget(callId);
    this.#spent.add(callId);
    for (const oldest of this.#spent) {
      if (this.#spent.size <= this.#limits.tombstones) break;
      this.#spent.delete(oldest);
    }
  }

  #forget(callId: string): void {
    const kept = this.#kept.get(callId);
    if (!kept) return;
    this.#kept.delete(callId);
    this.#keptBytes -= kept.bytes;
  }

  #scheduleSweep(): void {
    if (this.#sweep !== undefined) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      const expired = Date.now() - this.#limits.retentionMs;
      for (const [callId, { settledAt }] of this.#kept) if (settledAt <= expired) this.#spend(callId);
      if (this.#kept.size > 0) this.#scheduleSweep();
    }, this.#limits.retentionMs).unref();
  }
}

function callLost(request: CallRequest): AgentVmError {
  return new AgentVmError("call_lost", `The outcome of ${request.action} is lost`, {
    action: request.action,
  });
}

function tooLarge(action: string, bytes: number): AgentVmError {
  return responseTooLarge(action, bytes, MAX_RESULT_BYTES, "Ask for it in parts.");
}
