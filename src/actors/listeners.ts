import type { VmEventName } from "../api/events.ts";

/** What RivetKit keeps of a connection, as far as it is used. 2.3 may keep it elsewhere. */
interface Subscriber {
  subscriptions?: { has(event: string): boolean };
}

/** Whether any of these connections has subscribed to an event; one that does not tell may have. */
export function hasListeners(connections: Iterable<unknown>, event: VmEventName): boolean {
  for (const connection of connections) {
    const { subscriptions } = connection as Subscriber;
    if (subscriptions === undefined || subscriptions.has(event)) return true;
  }
  return false;
}
