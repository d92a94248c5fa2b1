import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { AgentVmError, previewDenied } from "../api/errors.ts";
import type { Actors } from "../rivet/guarded-driver.ts";
import type { PreviewRequest, PreviewUpgrade } from "../runtime/network/previews/preview-proxy.ts";
import { CORS, opensPage, refuse, refuseUpgrade } from "../runtime/network/previews/refusals.ts";
import { type AccessPolicy, bearerOf, isOwner } from "./access.ts";
import { ActorVisits } from "./actor-visits.ts";
import { type PreviewTarget, parsePreview, strayPath } from "./preview-path.ts";
import type { Stranger } from "./strangers.ts";
import { TOKEN_PREFIX } from "./tokens/tokens.ts";

const TOKEN = /^[\w-]{32}$/;

/** Target of a request to a host name that names no preview. */
const NOWHERE = { actorId: "", token: "" };

/** A browser's connection on its way to an actor. */
interface Visit {
  token: string;
  visit: PreviewRequest | PreviewUpgrade;
  /** Called if the token is valid. */
  admit(): void;
}

const visits = new ActorVisits<Visit>("/fetch/");

/** Removes and returns the visit that a request to an actor identifies. */
export function takeVisit(request: Request): Visit | undefined {
  return visits.take(request);
}

/** Dependencies of a PreviewGate. */
interface PreviewGateDeps extends Actors {
  policy: AccessPolicy;
  /** @returns whether actors of this name are VMs. */
  isVm(name: string): boolean;
}

/**
 * Admits requests for previews by the token in their Host or path; the VM's actor checks the token. The gate wakes the actor with
 * a request through RivetKit. The actor then answers the browser's own connection, because RivetKit would normalize the
 * path, limit the body, and drop pings, subprotocols and back-pressure.
 */
export class PreviewGate {
  readonly #deps: PreviewGateDeps;

  constructor(deps: PreviewGateDeps) {
    this.#deps = deps;
  }

  /**
   * Takes a request for a preview.
   *
   * @param stranger the connection, which the VM admits if the token is valid.
   * @param pass takes the request if its actor is not a VM.
   * @returns whether the request is for a preview.
   */
  request(request: IncomingMessage, response: ServerResponse, stranger: Stranger, pass: () => void): boolean {
    const url = request.url ?? "";
    const target = this.#targetOf(request);
    if (target === undefined) {
      const stray = strayPath(url, request.headers.host, request.headers.referer);
      if (stray !== undefined) response.writeHead(307, { location: stray, ...CORS }).end();
      return stray !== undefined;
    }
    if (request.method === "OPTIONS" && target.prefix !== "") {
      response.writeHead(204, CORS).end();
      return true;
    }
    this.#strip(request);
    if (target.isBare && opensPage(request)) {
      // A relative Location also works behind a proxy that adds a prefix.
      response.writeHead(307, { location: `${target.token}${target.path}`, ...CORS }).end();
      return true;
    }
    const { path, prefix } = target;
    const visit = { path, prefix, request, response };
    const fail = (error: AgentVmError) => refuse(response, error);
    void stranger.during(this.#serve(target, visit, stranger.admit, pass, fail));
    return true;
  }

  /**
   * Takes an upgrade to a WebSocket of a preview.
   *
   * @param stranger the connection, which the VM admits if the token is valid.
   * @param pass takes the upgrade if its actor is not a VM.
   * @returns whether the upgrade is for a preview.
   */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    stranger: Stranger,
    pass: () => void,
  ): boolean {
    const target = this.#targetOf(request);
    if (target === undefined) return false;
    socket.on("error", () => socket.destroy());
    this.#strip(request);
    const { path, prefix } = target;
    const visit = { path, prefix, request, socket, head };
    const fail = (error: AgentVmError) => refuseUpgrade(socket, error);
    void stranger.during(this.#serve(target, visit, stranger.admit, pass, fail));
    return true;
  }

  /** Finds the preview of a request: by its Host, else by its path. Every request to a preview's host name has a target. */
  #targetOf({ url = "", headers }: IncomingMessage): PreviewTarget | undefined {
    const named = this.#deps.policy.previewHosts?.find(headers.host);
    if (named === undefined) return parsePreview(url);
    // An absolute URI names a host itself.
    const found = named === "unknown" || !url.startsWith("/") ? NOWHERE : named;
    return { ...found, prefix: "", path: url, isBare: false };
  }

  async #serve(
    { actorId, token, prefix }: PreviewTarget,
    visit: PreviewRequest | PreviewUpgrade,
    admit: () => void,
    pass: () => void,
    fail: (error: AgentVmError) => void,
  ): Promise<void> {
    const name = this.#deps.nameOf(actorId);
    if (name !== undefined && !this.#deps.isVm(name) && prefix !== "") return pass();
    // Text that cannot be a token must not wake an actor.
    if (name === undefined || !this.#deps.isVm(name) || !TOKEN.test(token)) return fail(previewDenied());
    const outcome = await visits.bring(this.#deps, actorId, { token, visit, admit });
    if (outcome === "unknown") fail(previewDenied());
    if (outcome === "asleep") fail(new AgentVmError("preview_failed", "The VM did not wake"));
  }

  /** Removes a token of this server, which no program in a VM may see. */
  #strip(request: IncomingMessage): void {
    const { policy } = this.#deps;
    const bearer = bearerOf(request.headers.authorization);
    if (bearer === undefined) return;
    if (!bearer.startsWith(TOKEN_PREFIX) && !isOwner(policy, [bearer])) return;
    for (let index = request.rawHeaders.length - 2; index >= 0; index -= 2) {
      if (request.rawHeaders[index]?.toLowerCase() === "authorization") request.rawHeaders.splice(index, 2);
    }
  }
}
