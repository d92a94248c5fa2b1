import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Actors } from "../rivet/guarded-driver.ts";

/** Tries to reach an actor. An actor that is falling asleep refuses a request and wakes with a later request. */
const MAX_TRIES = 20;

/** Milliseconds between two tries. */
const RETRY_MS = 250;

/** Header of the request that wakes an actor. Its value identifies the visit. */
const TICKET = "x-agent-vm-visit";

/**
 * Connections on their way to actors. A request through RivetKit wakes the actor, which takes the visit out and answers the
 * connection itself: RivetKit would normalize the path, limit the body, and drop back-pressure.
 */
export class ActorVisits<Visit> {
  readonly #path: string;
  /** Pending visits by ticket. */
  readonly #pending = new Map<string, Visit>();

  /** @param path path below the actor, by which `onRequest` knows these visits */
  constructor(path: string) {
    this.#path = path;
  }

  /** Removes and returns the visit that a request to an actor identifies. */
  take(request: Request): Visit | undefined {
    const ticket = request.headers.get(TICKET) ?? "";
    const found = this.#pending.get(ticket);
    this.#pending.delete(ticket);
    return found;
  }

  /**
   * Brings a visit to an actor, which wakes. Resolves when the actor has served it.
   *
   * @returns `unknown` if there is no such actor, `asleep` if it did not wake
   */
  async bring(
    actors: Pick<Actors, "send">,
    actorId: string,
    visit: Visit,
  ): Promise<"served" | "unknown" | "asleep"> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const ticket = randomUUID();
      this.#pending.set(ticket, visit);
      const request = new Request(`http://actor/request${this.#path}`, { headers: { [TICKET]: ticket } });
      const status = await actors.send(actorId, request).then(
        (response) => response.status,
        () => 503,
      );
      if (!this.#pending.delete(ticket)) return "served";
      if (status === 404 || status === 410) return "unknown";
      await delay(RETRY_MS);
    }
    return "asleep";
  }
}
