import { callBack } from "./listeners.ts";
import type { RawConnection } from "./rivet/raw.ts";

/** Called with the payload of an event. Events of actors that are not VMs may have more than one. */
export type EventCallback = (...args: never[]) => void;

interface Subscription {
  callbacks: Set<EventCallback>;
  /** Ends the subscription on the current connection. */
  end?: (() => void) | undefined;
}

/** Events that the client itself makes. The server has no subscription for them. */
const OWN_EVENTS: ReadonlySet<string> = new Set(["vmRestarted"]);

/** Callbacks of events, which outlive connections. */
export class Subscriptions {
  readonly #byEvent = new Map<string, Subscription>();
  readonly #received: () => void;
  #raw: RawConnection | undefined;

  /** @param received called before the callbacks of each event of the server */
  constructor(received: () => void) {
    this.#received = received;
  }

  /** Adds a callback, and subscribes with the first callback of an event. @returns a function that removes it */
  add(event: string, callback: EventCallback): () => void {
    let subscription = this.#byEvent.get(event);
    if (!subscription) {
      subscription = { callbacks: new Set() };
      this.#byEvent.set(event, subscription);
      this.#subscribe(event, subscription);
    }
    const { callbacks } = subscription;
    callbacks.add(callback);
    return () => {
      if (!callbacks.delete(callback) || callbacks.size > 0) return;
      // Without a listener the server need not send the event.
      this.#byEvent.delete(event);
      subscription.end?.();
    };
  }

  /** Repeats all subscriptions over another connection. Over none they wait for the next one. */
  over(raw: RawConnection | undefined): void {
    this.#raw = raw;
    for (const [event, subscription] of this.#byEvent) this.#subscribe(event, subscription);
  }

  /** Calls the callbacks of an event. */
  tell(event: string, ...args: unknown[]): void {
    for (const callback of [...(this.#byEvent.get(event)?.callbacks ?? [])])
      callBack(callback, ...(args as [never]));
  }

  #subscribe(event: string, subscription: Subscription): void {
    subscription.end = OWN_EVENTS.has(event)
      ? undefined
      : this.#raw?.on(event, (...args) => {
          this.#received();
          this.tell(event, ...args);
        });
  }
}
