import type { Guarded } from "../api/rights.ts";
import { actionOf } from "./action.ts";
import type { VmContext } from "./context.ts";
import { ownContext } from "./own-context.ts";
import { type AnyParts, ownRight } from "./own-parts.ts";

type Check = (c: VmContext, name: string, guarded: Guarded) => void;

/** Declares the server's own actions. */
export function ownActions(parts: AnyParts): Record<string, ReturnType<typeof actionOf>> {
  return Object.fromEntries(Object.keys(parts.actions ?? {}).map((name) => [name, actionOf(name)]));
}

/** Declares the server's own events. @param check throws if a connection may not see an event */
export function ownEvents(parts: AnyParts, check: Check): Record<string, object> {
  return withChecks(parts.events ?? {}, "canSubscribe", (name) => ownRight(parts, name, "any"), check);
}

/** Declares the server's own queues. @param check throws if a connection may not send to a queue */
export function ownQueues(parts: AnyParts, check: Check): { queues?: Record<string, object> } {
  const { queues } = parts;
  if (queues === undefined) return {};
  return { queues: withChecks(queues, "canPublish", (name) => ownRight(parts, name, "exec"), check) };
}

/** Lays a check before the one that the server's own code has declared. */
function withChecks(
  tokens: Record<string, unknown>,
  member: "canSubscribe" | "canPublish",
  rightOf: (name: string) => Guarded,
  check: Check,
): Record<string, object> {
  const declared = Object.entries(tokens).map(([name, token]) => {
    const own = (token as Record<typeof member, ((c: object) => unknown) | undefined>)[member];
    const guarded = rightOf(name);
    const allows = async (c: VmContext) => {
      check(c, name, guarded);
      return (await own?.(ownContext(c, c.vars, c.conn.state))) ?? true;
    };
    return [name, { ...(token as object), [member]: allows }];
  });
  return Object.fromEntries(declared);
}
