import { randomUUID } from "node:crypto";
import { AgentVmError } from "../../../api/errors.ts";
import type { NetworkLogCode } from "../../../api/methods/network.ts";
import type {
  NetworkAnswer,
  NetworkQuestion,
  NetworkRequest,
} from "../../../api/methods/network-requests.ts";
import { asCaller } from "../../../base/caller.ts";
import { Known } from "../../../base/known.ts";
import { printable } from "../../../base/printable.ts";
import { unlessAborted } from "../../../base/within.ts";
import type { VmHandlers } from "../../hooks.ts";
import type { VmServices } from "../../vm-services.ts";
import { DENIED_ANSWER_MS, MAX_NETWORK_ANSWERS, MAX_NETWORK_QUESTIONS } from "../limits.ts";

const MAX_PATH_CHARS = 1_024;

/** Outcome of a question. `changed`: the policy has changed meanwhile, so that it decides again. */
export type Outcome =
  | { allowed: boolean; reason: string; code: NetworkLogCode; isRemembered?: true }
  | "changed";

/** Destination that a program wants to reach, in canonical form. */
export interface Wanted extends Omit<NetworkQuestion, "pid"> {
  findPid?: (() => Promise<number | undefined>) | undefined;
}

interface Pending {
  request: NetworkRequest;
  outcome: Promise<Outcome>;
  settle(outcome: Outcome): void;
}

interface QuestionsDeps extends Pick<VmServices, "emit" | "hasListeners" | "onFailure"> {
  timeoutMs: number;
  onNetworkRequest: VmHandlers["onNetworkRequest"];
}

const ANSWERS = new Set<unknown>(["allow", "once", "deny"]);

/** Questions of one VM's outbound policy, until they are answered. Nothing is allowed without an answer. */
export class NetworkQuestions {
  readonly #deps: QuestionsDeps;
  readonly #pending = new Map<string, Pending>();
  /** Answers by destination. `until`: time on the clock of `performance`. */
  readonly #answers = new Known<{ allowed: boolean; until: number }>(MAX_NETWORK_ANSWERS);

  constructor(deps: QuestionsDeps) {
    this.#deps = deps;
  }

  get waiting(): NetworkRequest[] {
    return [...this.#pending.values()].map(({ request }) => ({ ...request }));
  }

  /** Asks, once for all connections to one destination at the same time. @throws the signal's reason */
  async ask(wanted: Wanted, signal: AbortSignal): Promise<Outcome> {
    const key = keyOf(wanted);
    const known = this.#remembered(keyOf({ host: wanted.host, port: wanted.port })) ?? this.#remembered(key);
    if (known !== undefined) return known;
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      if (this.#pending.size >= MAX_NETWORK_QUESTIONS) {
        const reason = `too many questions wait for an answer (MAX_NETWORK_QUESTIONS = ${MAX_NETWORK_QUESTIONS})`;
        return { allowed: false, reason, code: "too_many_questions" };
      }
      pending = this.#begin(key, wanted);
    }
    return await unlessAborted(pending.outcome, signal);
  }

  /** @throws AgentVmError `network_request_not_found` */
  answer(id: string, answer: NetworkAnswer): void {
    const found = [...this.#pending].find(([, { request }]) => request.id === id);
    if (found === undefined)
      throw new AgentVmError("network_request_not_found", `No connection waits for an answer to ${id}`, {
        id,
      });
    const [key, pending] = found;
    this.#answered(key, pending, answer, "a client");
  }

  /** The policy has changed: it decides about the connections that wait, and earlier answers count no more. */
  forget(): void {
    this.#answers.clear();
    for (const { settle } of [...this.#pending.values()]) settle("changed");
  }

  /** Denies the connections that wait, because the VM is down. */
  close(): void {
    for (const { settle } of [...this.#pending.values()])
      settle({ allowed: false, reason: "the VM has stopped", code: "ask_timeout" });
  }

  #begin(key: string, wanted: Wanted): Pending {
    const { timeoutMs } = this.#deps;
    const decision = Promise.withResolvers<Outcome>();
    const { host, port, method, path } = wanted;
    const askedAt = Date.now();
    const request: NetworkRequest = {
      id: randomUUID(),
      host,
      port,
      ...(method !== undefined && { method }),
      ...(path !== undefined && { path: printable(path.slice(0, MAX_PATH_CHARS)) }),
      askedAt,
      expiresAt: askedAt + timeoutMs,
    };
    const late = () =>
      pending.settle({ allowed: false, reason: "nobody answered in time", code: "ask_timeout" });
    const timer = setTimeout(late, timeoutMs);
    const pending: Pending = {
      request,
      outcome: decision.promise,
      settle: (outcome) => {
        clearTimeout(timer);
        if (this.#pending.get(key) === pending) this.#pending.delete(key);
        decision.resolve(outcome);
      },
    };
    this.#pending.set(key, pending);
    void asCaller({}, () => this.#put(key, pending, wanted));
    return pending;
  }

  /** Asks the server's handler, then the clients that listen. Never rejects. */
  async #put(key: string, pending: Pending, { findPid }: Wanted): Promise<void> {
    const { onNetworkRequest, emit, hasListeners, onFailure } = this.#deps;
    const isSettled = () => this.#pending.get(key) !== pending;
    try {
      const pid = await findPid?.();
      if (pid !== undefined) pending.request.pid = pid;
      if (isSettled()) return;
      const { id: _id, askedAt: _at, expiresAt: _end, ...question } = pending.request;
      const answer = await onNetworkRequest?.(question);
      if (isSettled()) return;
      if (answer !== undefined) this.#answered(key, pending, answer, "the server");
      else if (hasListeners("networkRequest")) emit("networkRequest", { ...pending.request });
      else
        pending.settle({
          allowed: false,
          reason: "nobody listens who could allow it",
          code: "nobody_listens",
        });
    } catch (error) {
      onFailure(error);
      // A handler that fails must not allow anything.
      pending.settle({ allowed: false, reason: "the server's handler failed", code: "handler_failed" });
    }
  }

  /** @throws Error for a value that is not an answer */
  #answered(key: string, pending: Pending, answer: NetworkAnswer, by: string): void {
    if (!ANSWERS.has(answer)) throw new Error("onNetworkRequest must answer allow, once or deny");
    const allowed = answer !== "deny";
    if (answer === "allow") this.#answers.set(key, { allowed, until: Number.POSITIVE_INFINITY });
    if (answer === "deny") this.#answers.set(key, { allowed, until: performance.now() + DENIED_ANSWER_MS });
    pending.settle({ allowed, reason: `${by} ${allowed ? "allowed" : "denied"} it`, code: "answered" });
  }

  #remembered(key: string): Outcome | undefined {
    const known = this.#answers.get(key);
    if (known === undefined || known.until <= performance.now()) return undefined;
    const reason = `an earlier answer ${known.allowed ? "allowed" : "denied"} it`;
    return { allowed: known.allowed, reason, code: "answered", isRemembered: true };
  }
}

/** Requests with a method and a path are one question each, like the connections to a port. */
function keyOf({ host, port, method = "", path = "" }: Wanted): string {
  return JSON.stringify([host, port, method, path]);
}
