import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError, connectionLost, limitExceeded } from "../../api/errors.ts";
import type { Framing } from "../../runtime/network/requests/framing.ts";
import type { AccessControl } from "../access-control.ts";
import type { Grant } from "../grant.ts";
import { isServerToken } from "../preview-gate.ts";
import type { Stranger } from "../strangers.ts";
import type { EngineActors } from "./engine-actors.ts";
import type { Forwarder } from "./forward.ts";
import { MAX_FORWARDED, PEER_RETRY_MS } from "./limits.ts";
import { grantFor } from "./messages.ts";
import { onwardHeaders, onwardUrl } from "./onward-headers.ts";
import type { PeerWatch } from "./peer-watch.ts";
import type { Peer, Places } from "./places.ts";

/** Tries to hand a request that has not begun to the server that has the VM. */
const MAX_TRIES = 2;

export interface HandoffDeps {
  access: AccessControl;
  actors: EngineActors;
  places: Places;
  forwarder: Forwarder;
  watch: PeerWatch;
}

/** A request for a VM of another server. */
export interface Onward {
  request: IncomingMessage;
  actorId: string;
  /** Rights of the sender; `undefined` for a preview, whose token the VM checks. */
  grant: Grant | undefined;
  stranger: Stranger;
  /** The client's side. */
  client: ServerResponse | Duplex;
}

/** How a request goes on. */
export interface Way {
  /** This server serves it. */
  pass(): void;
  /** Another server has taken it. */
  send(outgoing: ClientRequest, fail: (error: Error) => void, upgraded: () => void): void;
  refuse(error: Error): void;
  /** Headers of this connection. */
  added: Framing;
}

/** Hands requests to the servers that have their VMs, until they end. */
export class Handoff {
  readonly #deps: HandoffDeps;
  #forwarded = 0;

  constructor(deps: HandoffDeps) {
    this.#deps = deps;
  }

  /** Begins a request at the server that has the VM. */
  begin(onward: Onward, peer: Peer, way: Way): void {
    const { access, forwarder, watch, actors, places } = this.#deps;
    const { request, actorId, grant, stranger, client } = onward;
    const vm = actors.nameOf(actorId);
    if (vm === undefined) return void way.pass();
    // A client that left while the VM woke has emitted its `close` already.
    if (client.destroyed) return;
    if (this.#forwarded >= MAX_FORWARDED)
      return void way.refuse(
        limitExceeded({ MAX_FORWARDED }, "Limit of requests to other servers reached", "Try again later."),
      );
    const left = new AbortController();
    const id = crypto.randomUUID();
    this.#forwarded += 1;
    let outgoing: ClientRequest | undefined;
    let forget = (): void => undefined;
    const over = Promise.withResolvers<void>();
    let isSocket = false;
    const end = (error: Error) => {
      outgoing?.destroy(error);
      // After an upgrade the request does nothing any more.
      if (isSocket) client.destroy();
      left.abort();
    };
    client.once("close", () => {
      this.#forwarded -= 1;
      access.live.closed(id);
      forget();
      over.resolve();
      end(new Error("the client has left"));
    });
    if (grant !== undefined) {
      access.opened({ id, state: grant }, () => {
        end(new Error("the token has ended"));
        client.destroy();
      });
    }
    const isOurs = (value: string) => isServerToken(access.policy, value);
    const head = {
      method: request.method ?? "GET",
      url: onwardUrl(request.url ?? "/"),
      actorId,
      ...(grant && { grant: grantFor(grant, vm) }),
      headers: { ...onwardHeaders(request, isOurs), ...way.added },
    };
    const upgraded = () => {
      isSocket = true;
    };
    const lost = (error: Error) => way.refuse(lostAt(error));
    const attempt = (to: Peer, tries: number): void => {
      const again = (error: AgentVmError) => {
        // A client that has left says nothing about the server.
        if (left.signal.aborted) return void way.refuse(error);
        places.forget(actorId, to.server);
        if (tries >= MAX_TRIES) return void way.refuse(error);
        const located = settled(async () => {
          // Requests that one server has just refused do not come back all at once.
          await delay(PEER_RETRY_MS * (0.2 + 0.8 * Math.random()));
          return await places.locate(actorId, { left: to.server, isStrange: grant === undefined });
        });
        void stranger.during(located.then(() => undefined));
        void located.then((place) => {
          if (left.signal.aborted) return;
          if (place instanceof Error) way.refuse(place);
          else if (place === undefined || place === "here") way.pass();
          else attempt(place, tries + 1);
        });
      };
      forwarder.begin(to, head, left.signal, {
        sent(opened) {
          outgoing = opened;
          forget = watch.begun(to, () => {
            places.forget(actorId, to.server);
            end(new Error("the server gave no sign of life"));
          });
          if (left.signal.aborted) end(new Error("the client has left"));
        },
        taken: (opened) => way.send(opened, lost, upgraded),
        admitted: () => stranger.admitDuring(over.promise),
        moved() {
          forget();
          again(connectionLost("The VM has just moved to another server"));
        },
        failed: (error) =>
          again(connectionLost(`The server that has the VM cannot be reached: ${error.message}`)),
        lost,
      });
    };
    attempt(peer, 1);
  }
}

/** Settles with the error of work that fails. */
export async function settled<Outcome>(work: () => Promise<Outcome>): Promise<Outcome | Error> {
  try {
    return await work();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function lostAt({ message }: Error): AgentVmError {
  return new AgentVmError(
    "call_lost",
    `The server that has the VM was lost while the request was under way: ${message}`,
  );
}
