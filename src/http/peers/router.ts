import type { ClientRequest, IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { AgentVmError, connectionLost, limitExceeded } from "../../api/errors.ts";
import { endToEnd } from "../../runtime/network/requests/end-to-end.ts";
import { type Framing, framingOf } from "../../runtime/network/requests/framing.ts";
import { relay } from "../../runtime/network/requests/relay.ts";
import type { AccessControl } from "../access-control.ts";
import type { Grant } from "../grant.ts";
import { holdBody } from "../held-body.ts";
import type { Admit } from "../http-gate.ts";
import { isServerToken } from "../preview-gate.ts";
import { parsePreview } from "../preview-path.ts";
import type { Stranger, Strangers } from "../strangers.ts";
import type { EngineActors } from "./engine-actors.ts";
import type { Forwarder } from "./forward.ts";
import { MAX_FORWARDED } from "./limits.ts";
import { narrowed } from "./messages.ts";
import { onwardHeaders, onwardUrl } from "./onward-headers.ts";
import type { PeerWatch } from "./peer-watch.ts";
import type { Peer, Places } from "./places.ts";
import { refuseRequest, refuseSocket } from "./refusal.ts";
import { relayUpgrade } from "./relay-upgrade.ts";

/** Tries to hand a request that has not begun to the server that has the VM. */
const MAX_TRIES = 2;

/** Statuses with which a VM refuses the token of a preview. */
const REFUSED: ReadonlySet<number> = new Set([401, 403]);

interface RouterDeps {
  access: AccessControl;
  admit: Admit;
  actors: EngineActors;
  /** Finds an actor that runs in this process. */
  here(actorId: string): Promise<unknown>;
  isVm(name: string): boolean;
  places: Places;
  forwarder: Forwarder;
  watch: PeerWatch;
  strangers: Strangers;
  /** Returns whether a grant reaches an actor that `actors` knows. */
  reaches(grant: Grant, actorId: string): boolean;
}

/** A request for a VM of another server. */
interface Onward {
  request: IncomingMessage;
  actorId: string;
  /** Rights of the sender; `undefined` for a preview, whose token the VM checks. */
  grant: Grant | undefined;
  stranger: Stranger;
  /** The client's side. */
  client: ServerResponse | Duplex;
}

/** Sends requests for VMs of other servers there, before anything else of this server sees them. */
export class PeerRouter {
  readonly #deps: RouterDeps;
  #forwarded = 0;

  constructor(deps: RouterDeps) {
    this.#deps = deps;
  }

  /** Puts itself in front of a server's listeners, which get the requests for this server. */
  guard(server: Server): void {
    const requests = server.listeners("request") as ((...args: unknown[]) => void)[];
    server.removeAllListeners("request");
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const pass = () => {
        for (const listener of requests) listener(request, response);
      };
      const actorId = this.#actorOf(request);
      // RivetKit answers the preflights of pages that use the API.
      if (actorId === undefined || (request.method === "OPTIONS" && !this.#isPreview(request))) return pass();
      const release = holdBody(request);
      void this.#route(request, response, actorId, {
        pass: () => release(pass),
        send: (outgoing, fail) =>
          release(() => {
            const headersOf = (raw: readonly string[]) => endToEnd(raw).flat();
            relay(request, response, outgoing, { framing: framingOf(request) ?? {}, headersOf, fail });
          }),
        refuse: (error, isPreview) => refuseRequest(response, error, isPreview),
        added: framingOf(request) ?? {},
      });
    });
    const upgrades = server.listeners("upgrade") as ((...args: unknown[]) => void)[];
    server.removeAllListeners("upgrade");
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const pass = () => {
        for (const listener of upgrades) listener(request, socket, head);
      };
      const actorId = this.#actorOf(request);
      if (actorId === undefined) return pass();
      const ignore = () => undefined;
      socket.on("error", ignore);
      void this.#route(request, socket, actorId, {
        pass() {
          socket.off("error", ignore);
          pass();
        },
        send: (outgoing, fail, answered) => relayUpgrade(socket, head, outgoing, { answered, fail }),
        refuse: (error, isPreview) => refuseSocket(request, socket, head, error, isPreview),
        added: { connection: ["Upgrade"], upgrade: ["websocket"] },
      });
    });
  }

  /** Finds the actor that a request is for, in the ways in which clients name it. */
  #actorOf({ url = "", headers }: IncomingMessage): string | undefined {
    const named = this.#deps.access.policy.previewHosts?.find(headers.host);
    if (named === "unknown") return undefined;
    if (named !== undefined) return named.actorId;
    return /^\/gateway\/([\w-]{1,64})(?=[@/?]|$)/.exec(url)?.[1] ?? headers["x-rivet-actor"]?.toString();
  }

  async #route(
    request: IncomingMessage,
    client: ServerResponse | Duplex,
    actorId: string,
    way: Way,
  ): Promise<void> {
    const { actors, strangers, isVm, here, admit, reaches } = this.#deps;
    const stranger = strangers.of(request.socket);
    stranger.refresh();
    const isPreview = this.#isPreview(request);
    const header = (name: string) => request.headers[name]?.toString();
    // The gate of this server refuses a request in its own way.
    const admitted = () =>
      admit(request, { header, path: request.url ?? "", external: true }).catch(() => undefined);
    const decided = this.#decide(async () => {
      if ((await here(actorId)) !== undefined) return undefined;
      // A stranger must not make the server ask the engine. `authorize` has to know the VM.
      if (!isPreview && !this.#deps.access.asksUser && (await admitted()) === undefined) return undefined;
      const vm = await actors.look(actorId);
      if (vm === undefined || !isVm(vm.name)) return undefined;
      const grant = isPreview ? undefined : await admitted();
      if (!isPreview && (grant === undefined || !reaches(grant, actorId))) return undefined;
      return await this.#deps.places.locate(actorId).then((place) => ({ place, grant }));
    });
    await stranger.during(decided.then(() => undefined));
    const outcome = await decided;
    if (outcome instanceof Error) return void way.refuse(outcome, isPreview);
    if (outcome === undefined || outcome.place === undefined || outcome.place === "here")
      return void way.pass();
    if (outcome.grant !== undefined) stranger.admit();
    this.#forward(
      { request, actorId, grant: outcome.grant, stranger, client },
      outcome.place,
      way,
      isPreview,
    );
  }

  async #decide<Outcome>(decide: () => Promise<Outcome>): Promise<Outcome | Error> {
    try {
      return await decide();
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #isPreview({ url = "", headers }: IncomingMessage): boolean {
    return (
      this.#deps.access.policy.previewHosts?.find(headers.host) !== undefined ||
      parsePreview(url) !== undefined
    );
  }

  #forward(onward: Onward, peer: Peer, way: Way, isPreview: boolean): void {
    const { access, forwarder, watch, actors, places } = this.#deps;
    const { request, actorId, grant, stranger, client } = onward;
    const vm = actors.nameOf(actorId);
    if (vm === undefined) return void way.pass();
    if (this.#forwarded >= MAX_FORWARDED)
      return void way.refuse(
        limitExceeded({ MAX_FORWARDED }, "Limit of requests to other servers reached", "Try again later."),
        isPreview,
      );
    const left = new AbortController();
    const id = crypto.randomUUID();
    this.#forwarded += 1;
    let outgoing: ClientRequest | undefined;
    let forget = (): void => undefined;
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
      ...(grant && { grant: narrowed(grant, vm) }),
      headers: { ...onwardHeaders(request, isOurs), ...way.added },
    };
    const answered = (status: number) => {
      isSocket = status === 101;
      if (!REFUSED.has(status)) stranger.admit();
    };
    const attempt = (to: Peer, tries: number): void => {
      const again = (error: AgentVmError) => {
        this.#deps.places.forget(actorId);
        if (tries >= MAX_TRIES || left.signal.aborted) return void way.refuse(error, isPreview);
        const located = this.#decide(() => this.#deps.places.locate(actorId));
        void stranger.during(located.then(() => undefined));
        void located.then((place) => {
          if (place instanceof Error) way.refuse(place, isPreview);
          else if (place === undefined || place === "here") way.pass();
          else attempt(place, tries + 1);
        });
      };
      forwarder.begin(to, head, left.signal, {
        taken(opened) {
          outgoing = opened;
          forget = watch.begun(to, () => {
            places.forget(actorId);
            end(new Error("gives no sign of life"));
          });
          opened.once("response", ({ statusCode = 502 }) => answered(statusCode));
          way.send(opened, (error) => way.refuse(lostAt(error), isPreview), answered);
        },
        moved: () => again(connectionLost("The VM has just moved to another server")),
        failed: (error) =>
          again(connectionLost(`The server that has the VM cannot be reached: ${error.message}`)),
      });
    };
    attempt(peer, 1);
  }
}

/** How a request goes on. */
interface Way {
  /** This server serves it. */
  pass(): void;
  /** Another server has taken it. */
  send(outgoing: ClientRequest, fail: (error: Error) => void, answered: (status: number) => void): void;
  refuse(error: Error, isPreview: boolean): void;
  /** Headers of this connection. */
  added: Framing;
}

function lostAt({ message }: Error): AgentVmError {
  return new AgentVmError(
    "call_lost",
    `The server that has the VM was lost while the request was under way: ${message}`,
  );
}
