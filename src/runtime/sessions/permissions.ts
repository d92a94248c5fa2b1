import type { PermissionOption, RequestPermissionOutcome } from "@agentclientprotocol/sdk";
import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { MAX_PENDING_PERMISSIONS } from "../../api/limits.ts";
import type { PermissionPolicy, PermissionReply, PermissionRequest } from "../../api/types.ts";

/** Why a request was answered as it was. */
export type PermissionReason =
  | "replied"
  | "handler"
  | "policy"
  | "cancelled"
  | "timeout"
  | "nobody_listens"
  | "handler_failed"
  | "too_many"
  | "not_stored";

/** What became of a request. */
export interface PermissionResolution {
  permissionId: string;
  outcome: RequestPermissionOutcome;
  reason: PermissionReason;
}

export interface PermissionHooks {
  policy: PermissionPolicy;
  timeoutMs: number;
  /** Answers on the server, or leaves it to those who listen with `undefined`. */
  handle?(request: PermissionRequest): Promise<string | undefined> | string | undefined;
  /** Whether the agent has been told to end its turn. */
  isCancelled(): boolean;
  /** Whether anybody would hear of the request. */
  hasListeners(): boolean;
  /** Tells those who listen. */
  ask(request: PermissionRequest): void;
  /** The request is stored when this resolves. */
  asked(request: PermissionRequest): Promise<void>;
  resolved(resolution: PermissionResolution): void;
}

/** Kinds of the agent's options that stand for a reply, the best first. */
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
  settle(outcome: RequestPermissionOutcome, reason: PermissionReason): void;
}

const CANCELLED: RequestPermissionOutcome = { outcome: "cancelled" };

/** An agent's requests for permission until they are answered. Nothing is ever allowed by default. */
export class Permissions {
  readonly #hooks: PermissionHooks;
  readonly #pending = new Map<string, Pending>();

  constructor(hooks: PermissionHooks) {
    this.#hooks = hooks;
  }

  get pending(): PermissionRequest[] {
    return [...this.#pending.values()].map(({ request }) => request);
  }

  /** Asks whoever may answer. Never rejects. */
  async request(params: unknown): Promise<{ outcome: RequestPermissionOutcome }> {
    const parsed = paramsSchema.safeParse(params);
    const offer = parsed.data?.options ?? [];
    const description = parsed.data?.toolCall?.title;
    const request: PermissionRequest = {
      permissionId: `permission-${crypto.randomUUID()}`,
      ...(typeof description === "string" && { description }),
      params,
    };
    const { permissionId } = request;
    const { outcome, reason } = await this.#decide(request, offer);
    this.#pending.delete(permissionId);
    this.#hooks.resolved({ permissionId, outcome, reason });
    return { outcome };
  }

  /** @throws AgentVmError `permission_not_found`; `invalid_argument` for a reply that the agent does not offer */
  respond(permissionId: string, reply: string): RequestPermissionOutcome {
    const pending = this.#pending.get(permissionId);
    if (!pending) {
      throw new AgentVmError("permission_not_found", `Permission request not found: ${permissionId}`, {
        permissionId,
      });
    }
    const outcome = outcomeOf(reply, pending.offer);
    pending.settle(outcome, "replied");
    return outcome;
  }

  /** Answers everything that waits with `cancelled`, as the protocol wants it of a turn that is. */
  cancel(): void {
    for (const { settle } of [...this.#pending.values()]) settle(CANCELLED, "cancelled");
  }

  async #decide(
    request: PermissionRequest,
    offer: Offer,
  ): Promise<{ outcome: RequestPermissionOutcome; reason: PermissionReason }> {
    const { policy, timeoutMs } = this.#hooks;
    const reject = (reason: PermissionReason) => ({ outcome: outcomeOf("reject", offer), reason });
    if (this.#pending.size >= MAX_PENDING_PERMISSIONS) return reject("too_many");
    const decision = Promise.withResolvers<{ outcome: RequestPermissionOutcome; reason: PermissionReason }>();
    const settle: Pending["settle"] = (outcome, reason) => decision.resolve({ outcome, reason });
    this.#pending.set(request.permissionId, { request, offer, settle });
    const timer = setTimeout(() => decision.resolve(reject("timeout")), timeoutMs);
    try {
      await this.#hooks.asked(request);
      // Cancelled before it was asked or while it was being stored: nobody need be asked any more.
      if (this.#hooks.isCancelled()) settle(CANCELLED, "cancelled");
      else if (policy !== "ask") {
        const reply = policy === "allow_all" ? allowing(offer) : "reject";
        settle(outcomeOf(reply, offer), "policy");
      } else this.#ask(request, offer, settle);
    } catch {
      decision.resolve(reject("not_stored"));
    }
    return decision.promise.finally(() => clearTimeout(timer));
  }

  async #ask(request: PermissionRequest, offer: Offer, settle: Pending["settle"]): Promise<void> {
    const reject = (reason: PermissionReason) => settle(outcomeOf("reject", offer), reason);
    try {
      const reply = await this.#hooks.handle?.(request);
      // Decided in the meantime: by a cancel, by an answer, by time.
      if (!this.#pending.has(request.permissionId)) return;
      if (reply !== undefined) settle(outcomeOf(reply, offer), "handler");
      else if (!this.#hooks.hasListeners()) reject("nobody_listens");
      else this.#hooks.ask(request);
    } catch {
      // A handler that does not know must not let anything through.
      reject("handler_failed");
    }
  }
}

/** Once where the agent offers it. */
function allowing(offer: Offer): PermissionReply {
  return offer.some(({ kind }) => kind === "allow_once") ? "once" : "always";
}

/** What to tell the agent: one of its own options, by its id or by what it is for. */
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
