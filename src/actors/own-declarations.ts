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
  const declared = Object.entries(parts.events ?? {}).map(([name, token]) => {
    const { canSubscribe } = token as { canSubscribe?: (c: object) => unknown };
    const guarded = ownRight(parts, name, "any");
    const allows = async (c: VmContext) => {
      check(c, name, guarded);
      return (await canSubscribe?.(ownContext(c, c.vars, c.conn.state))) ?? true;
    };
    return [name, { ...(token as object), canSubscribe: allows }];
  });
  return Object.fromEntries(declared);
}

/** Declares the server's own queues. @param check throws if a connection may not send to a queue */
export function ownQueues(parts: AnyParts, check: Check): { queues?: Record<string, object> } {
  const { queues } = parts;
  if (queues === undefined) return {};
  const declared = Object.entries(queues).map(([name, token]) => {
    const { canPublish } = token as { canPublish?: (c: object) => unknown };
    const guarded = ownRight(parts, name, "exec");
    const allows = async (c: VmContext) => {
      check(c, name, guarded);
      return (await canPublish?.(ownContext(c, c.vars, c.conn.state))) ?? true;
    };
    return [name, { ...(token as object), canPublish: allows }];
  });
  return { queues: Object.fromEntries(declared) };
}
