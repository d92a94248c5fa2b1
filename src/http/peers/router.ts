import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { AgentVmError } from "../../api/errors.ts";
import { actorNamedBy } from "../../api/gateway-path.ts";
import { refuseUpgrade } from "../../runtime/network/previews/refusals.ts";
import { endToEnd } from "../../runtime/network/requests/end-to-end.ts";
import { badRequest, framingOf, hasBody } from "../../runtime/network/requests/framing.ts";
import { relay } from "../../runtime/network/requests/relay.ts";
import { relayUpgrade } from "../../runtime/network/requests/relay-upgrade.ts";
import type { Served } from "../client-connections.ts";
import type { Grant } from "../grant.ts";
import { holdBody } from "../held-body.ts";
import type { Admit } from "../http-gate.ts";
import { parsePreview } from "../preview-path.ts";
import { putInFront } from "../server-front.ts";
import type { Strangers } from "../strangers.ts";
import { Handoff, type HandoffDeps, settled, type Way } from "./handoff.ts";
import { refuseRequest, refuseSocket } from "./refusal.ts";

/** Token of a preview. Other text must not wake a VM. */
const PREVIEW_TOKEN = /^[\w-]{32}$/;

interface RouterDeps extends HandoffDeps {
  admit: Admit;
  /** Finds an actor that runs in this process. */
  here(actorId: string): Promise<unknown>;
  isVm(name: string): boolean;
  strangers: Strangers;
  /** Returns whether a grant reaches an actor that `actors` knows. */
  reaches(grant: Grant, actorId: string): boolean;
}

/** Sends requests for VMs of other servers there, before anything else of this server sees them. */
export class PeerRouter {
  readonly #deps: RouterDeps;
  readonly #handoff: Handoff;
  /** Answers, and sockets of WebSockets, of requests for actors that this server serves itself. */
  readonly #served = new Set<Served>();

  constructor(deps: RouterDeps) {
    this.#deps = deps;
    this.#handoff = new Handoff(deps);
  }

  /** Ends the requests and connections for actors that this server serves itself. */
  cutServed(): void {
    for (const served of this.#served) served.destroy();
  }

  /** Puts itself in front of a server's listeners, which get the requests for this server. */
  guard(server: Server): void {
    putInFront(server, {
      request: (request, response, pass) => {
        const actorId = this.#actorOf(request);
        const isPreview = this.#isPreview(request);
        // RivetKit answers the preflights of pages that use the API.
        if (actorId === undefined || (request.method === "OPTIONS" && !isPreview)) return pass();
        const framing = framingOf(request);
        const refuse = (error: Error) => refuseRequest(response, { error, isPreview });
        if (framing === undefined || request.method === "TRACE") return refuse(badRequest(request));
        const release = holdBody(request);
        void this.#route(request, response, actorId, {
          pass: () => {
            this.#serve(request.socket, response);
            release(pass);
          },
          send: (outgoing, fail) =>
            release(() => relay(request, response, outgoing, { framing, headersOf, fail })),
          refuse,
          added: framing,
        });
      },
      upgrade: (request, socket, head, pass) => {
        const actorId = this.#actorOf(request);
        if (actorId === undefined) return pass();
        const ignore = () => undefined;
        socket.on("error", ignore);
        if (request.method !== "GET" || hasBody(framingOf(request)))
          return refuseUpgrade(socket, badRequest(request));
        void this.#route(request, socket, actorId, {
          pass: () => {
            socket.off("error", ignore);
            this.#serve(socket, socket);
            pass();
          },
          send: (outgoing, fail, upgraded) => {
            const answered = (status: number) => status === 101 && upgraded();
            relayUpgrade(socket, head, outgoing, { headersOf, answered, fail });
          },
          refuse: (error) =>
            refuseSocket(request, socket, head, { error, isPreview: this.#isPreview(request) }),
          added: { connection: ["Upgrade"], upgrade: ["websocket"] },
        });
      },
    });
  }

  /** Notes a client until its request has been served. */
  #serve(socket: Duplex, served: Served): void {
    // A client that has left meanwhile may have emitted its `close` already.
    if (socket.destroyed) return;
    this.#served.add(served);
    served.once("close", () => this.#served.delete(served));
  }

  /** Finds the actor that a request is for, in the ways in which clients name it. */
  #actorOf({ url = "", headers }: IncomingMessage): string | undefined {
    const named = this.#deps.access.policy.previewHosts?.find(headers.host);
    if (named === "unknown") return undefined;
    if (named !== undefined) return named.actorId;
    const preview = parsePreview(url);
    if (preview !== undefined && !PREVIEW_TOKEN.test(preview.token)) return undefined;
    return actorNamedBy(url, headers["x-rivet-actor"]?.toString());
  }

  async #route(
    request: IncomingMessage,
    client: ServerResponse | Duplex,
    actorId: string,
    way: Way,
  ): Promise<void> {
    const { actors, strangers, isVm, here, admit, reaches } = this.#deps;
    const stranger = strangers.of(request.socket);
    stranger.begin(client);
    const isPreview = this.#isPreview(request);
    const header = (name: string) => request.headers[name]?.toString();
    // The gate of this server refuses a request in its own way.
    const admitted = () =>
      admit(request, { header, path: request.url ?? "", external: true }).catch(() => undefined);
    const decided = settled(async () => {
      if ((await here(actorId)) !== undefined) return undefined;
      // `authorize` has to know the VM, and only the VM knows the token of a preview.
      const isStrange = isPreview || this.#deps.access.asksUser;
      if (!isStrange && (await admitted()) === undefined) return undefined;
      const vm = await (isStrange ? actors.lookForStranger(actorId) : actors.look(actorId));
      if (vm === undefined || !isVm(vm.name)) return undefined;
      const grant = isPreview ? undefined : await admitted();
      if (!isPreview && (grant === undefined || !reaches(grant, actorId))) return undefined;
      const place = await this.#deps.places.locate(actorId, { isStrange: grant === undefined });
      return { place, grant };
    });
    await stranger.during(decided.then(() => undefined));
    const outcome = await decided;
    if (outcome instanceof Error) return void way.refuse(outcome);
    if (outcome === undefined || outcome.place === undefined || outcome.place === "here")
      return void way.pass();
    try {
      if (outcome.grant !== undefined) stranger.admit(outcome.grant);
    } catch (error) {
      return void way.refuse(error as AgentVmError);
    }
    this.#handoff.begin({ request, actorId, grant: outcome.grant, stranger, client }, outcome.place, way);
  }

  #isPreview({ url = "", headers }: IncomingMessage): boolean {
    const { previewHosts } = this.#deps.access.policy;
    return previewHosts?.find(headers.host) !== undefined || parsePreview(url) !== undefined;
  }
}

function headersOf(raw: readonly string[]): string[] {
  return endToEnd(raw).flat();
}
