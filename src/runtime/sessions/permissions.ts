import {
  CLIENT_METHODS,
  type PermissionOption,
  type RequestPermissionOutcome,
} from "@agentclientprotocol/sdk";
import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import type { PermissionReply, PermissionRequest } from "../../api/methods/session-types.ts";
import { fitsWire, wireSize } from "../../api/size.ts";
import type { SessionDeps } from "./deps.ts";
import { MAX_DESCRIPTION_CHARS, MAX_LISTED_PERMISSION_BYTES, MAX_PENDING_PERMISSIONS } from "./limits.ts";
import { asObject, type SessionLog } from "./transcript/session-log.ts";
import type { SessionState } from "./transcript/session-state.ts";

/** Reason for the outcome of a permission request. */
type PermissionReason =
  | "replied"
  | "handler"
  | "policy"
  | "cancelled"
  | "timeout"
  | "nobody_listens"
  | "handler_failed"
  | "too_many"
  | "not_stored";

interface PermissionsDeps {
  state: SessionState;
  log: SessionLog;
  vm: Pick<SessionDeps, "permissionTimeoutMs" | "onPermissionRequest" | "hasListeners" | "emit">;
}

/** Kinds of agent options that fit each reply, best first. */
const KINDS: Record<PermissionReply, PermissionOption["kind"][]> = {
  once: ["allow_once"],
  always: ["allow_always", "allow_once"],
  reject: ["reject_once", "reject_always"],
};

const paramsSchema = z.looseObject({
  toolCall: z.looseObject({ title: z.string().nullish() }).optional(),
  options: z
    .array(z.looseObject({ optionId: z.string(), kind: z.string() }))
    .max(64)
    .default([]),
});

type Offer = z.infer<typeof paramsSchema>["options"];

interface Pending {
  request: PermissionRequest;
  offer: Offer;
  /** Bytes of `params`, or `Infinity` if they are too many for a list. */
  bytes: number;
  resolve(outcome: RequestPermissionOutcome, reason: PermissionReason): void;
}

const CANCELLED: RequestPermissionOutcome = { outcome: "cancelled" };

/** Permission requests of an agent, until they are answered. Nothing is allowed by default. */
export class Permissions {
  readonly #deps: PermissionsDeps;
  readonly #pending = new Map<string, Pending>();

  constructor(deps: PermissionsDeps) {
    this.#deps = deps;
  }

  /** Requests that wait, without `params` past MAX_LISTED_PERMISSION_BYTES. */
  get pending(): PermissionRequest[] {
    let left = MAX_LISTED_PERMISSION_BYTES;
    return [...this.#pending.values()].map(({ request, bytes }) => {
      const { params: _, ...short } = request;
      if (bytes > left) return short;
      left -= bytes;
      return request;
    });
  }

  /** Answers a request by the policy, the server's hook or a client. Never rejects. */
  async request(agentParams: unknown): Promise<{ outcome: RequestPermissionOutcome }> {
    const params = { ...asObject(agentParams), sessionId: this.#deps.state.data.sessionId };
    const parsed = paramsSchema.safeParse(params);
    const offer = parsed.data?.options ?? [];
    const description = parsed.data?.toolCall?.title;
    const request: PermissionRequest = {
      permissionId: `permission-${crypto.randomUUID()}`,
      ...(typeof description === "string" && { description: description.slice(0, MAX_DESCRIPTION_CHARS) }),
      params,
    };
    const { permissionId } = request;
    const { outcome, reason } = await this.#decide(request, offer);
    this.#pending.delete(permissionId);
    this.#deps.log.append("_agentvm/permission_resolved", { permissionId, outcome, reason });
    return { outcome };
  }

  /** @throws AgentVmError `permission_not_found`; `invalid_argument` if the agent does not offer the reply */
  respond(permissionId: string, reply: string): RequestPermissionOutcome {
    const pending = this.#pending.get(permissionId);
    if (!pending) {
      throw new AgentVmError("permission_not_found", `Permission request not found: ${permissionId}`, {
        permissionId,
        hint: "getSession() lists the requests that wait for an answer.",
      });
    }
    const outcome = outcomeOf(reply, pending.offer);
    pending.resolve(outcome, "replied");
    return outcome;
  }

  /** Answers all pending requests with `cancelled`, as ACP requires when a turn is cancelled. */
  cancel(): void {
    for (const { resolve } of [...this.#pending.values()]) resolve(CANCELLED, "cancelled");
  }

  async #decide(request: PermissionRequest, offer: Offer) {
    const { state, log, vm } = this.#deps;
    const { permissionPolicy = "ask" } = state.data.options;
    const reject = (reason: PermissionReason) => ({ outcome: outcomeOf("reject", offer), reason });
    if (this.#pending.size >= MAX_PENDING_PERMISSIONS) return reject("too_many");
    const decision = Promise.withResolvers<{ outcome: RequestPermissionOutcome; reason: PermissionReason }>();
    const resolve: Pending["resolve"] = (outcome, reason) => decision.resolve({ outcome, reason });
    const isListed = fitsWire(request.params, MAX_LISTED_PERMISSION_BYTES);
    const bytes = isListed ? wireSize(request.params) : Number.POSITIVE_INFINITY;
    this.#pending.set(request.permissionId, { request, offer, bytes, resolve });
    const timer = setTimeout(() => decision.resolve(reject("timeout")), vm.permissionTimeoutMs);
    try {
      const { permissionId, params } = request;
      log.append(CLIENT_METHODS.session_request_permission, { ...asObject(params), permissionId });
      await log.flushed();
      // The turn was cancelled before the request, or while the request was being stored.
      if (log.turn?.isCancelled) resolve(CANCELLED, "cancelled");
      else if (permissionPolicy !== "ask") {
        const reply = permissionPolicy === "allow_all" ? allowing(offer) : "reject";
        resolve(outcomeOf(reply, offer), "policy");
      } else this.#ask(request, offer, resolve);
    } catch {
      decision.resolve(reject("not_stored"));
    }
    return decision.promise.finally(() => clearTimeout(timer));
  }

  async #ask(request: PermissionRequest, offer: Offer, resolve: Pending["resolve"]): Promise<void> {
    const reject = (reason: PermissionReason) => resolve(outcomeOf("reject", offer), reason);
    const { state, log, vm } = this.#deps;
    const { sessionId } = state.data;
    try {
      const reply = await vm.onPermissionRequest?.(sessionId, request, log.turn?.identity);
      // A cancel, a client's reply or the timeout came first.
      if (!this.#pending.has(request.permissionId)) return;
      if (reply !== undefined) resolve(outcomeOf(reply, offer), "handler");
      else if (!vm.hasListeners("permissionRequest")) reject("nobody_listens");
      else vm.emit("permissionRequest", { sessionId, request });
    } catch {
      // A hook that fails must not allow anything.
      reject("handler_failed");
    }
  }
}

/** The narrowest reply that allows: `once` if the agent offers it, else `always`. */
function allowing(offer: Offer): PermissionReply {
  return offer.some(({ kind }) => kind === "allow_once") ? "once" : "always";
}

/** Maps a reply, or an option's id, to one of the agent's options. A missing kind becomes `cancelled`. */
function outcomeOf(reply: string, offer: Offer): RequestPermissionOutcome {
  if (Object.hasOwn(KINDS, reply)) {
    for (const kind of KINDS[reply as PermissionReply]) {
      const option = offer.find((candidate) => candidate.kind === kind);
      if (option) return { outcome: "selected", optionId: option.optionId };
    }
    return CANCELLED;
  }
  const option = offer.find(({ optionId }) => optionId === reply);
  if (option) return { outcome: "selected", optionId: option.optionId };
  throw new AgentVmError(
    "invalid_argument",
    `invalid permission reply ${JSON.stringify(reply.slice(0, 80))} (expected "once" | "always" | "reject")`,
    { argument: "reply", options: offer.map(({ optionId }) => optionId) },
  );
}
