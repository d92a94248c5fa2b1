import { limitExceeded } from "../api/errors.ts";
import type { VmEventName } from "../api/events.ts";
import { userError } from "./user-error.ts";

/** The part of RivetKit's connection that shows its subscriptions. */
interface Subscriber {
  subscriptions?: { has(event: string): boolean };
}

/**
 * Returns whether any of these connections has subscribed to an event.
 *
 * For RivetKit 2.2, which has no such method. A connection that does not show its subscriptions, as in 2.3, counts as
 * subscribed to every event.
 */
export function hasListeners(connections: Iterable<unknown>, event: VmEventName): boolean {
  for (const connection of connections) {
    const { subscriptions } = connection as Subscriber;
    if (subscriptions === undefined || subscriptions.has(event)) return true;
  }
  return false;
}

/**
 * Events to which one connection subscribes.
 * @unit events
 * @past The subscription is refused. The server disconnects a connection that goes on.
 * @code limit_exceeded
 */
const MAX_SUBSCRIPTIONS = 64;

/** A longer name of an event counts as a subscription too many. */
const MAX_EVENT_NAME_CHARACTERS = 256;

/** Refused subscriptions after which the server disconnects a connection. */
const MAX_REFUSALS = 64;

/**
 * Bounds the subscriptions of a connection.
 *
 * For RivetKit 2.2, which keeps every event name that a client sends and saves the actor's state for each of them.
 */
export function limitSubscriptions(connection: { disconnect(reason?: string): Promise<void> }): void {
  const { subscriptions } = connection as { subscriptions?: Set<string> };
  if (subscriptions === undefined) return;
  let refusals = 0;
  const add = subscriptions.add.bind(subscriptions);
  subscriptions.add = (event) => {
    const hasRoom = subscriptions.size < MAX_SUBSCRIPTIONS && event.length <= MAX_EVENT_NAME_CHARACTERS;
    if (hasRoom || subscriptions.has(event)) return add(event);
    refusals += 1;
    if (refusals === MAX_REFUSALS) connection.disconnect("limit_exceeded").catch(() => undefined);
    throw userError(
      limitExceeded(
        { MAX_SUBSCRIPTIONS },
        "Subscription limit of the connection reached",
        "Unsubscribe from an event first.",
      ),
    );
  };
}
