import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError, previewDenied } from "../api/errors.ts";
import type { Actors } from "../rivet/guarded-driver.ts";
import { dropAuthorization } from "../runtime/network/previews/authorization.ts";
import type { PreviewRequest, PreviewUpgrade } from "../runtime/network/previews/preview-proxy.ts";
import { CORS, opensPage, refuse, refuseUpgrade } from "../runtime/network/previews/refusals.ts";
import { type AccessPolicy, bearerOf, isOwner } from "./access.ts";
import { type PreviewTarget, parsePreview, strayPath } from "./preview-path.ts";
import type { Stranger } from "./strangers.ts";
import { TOKEN_PREFIX } from "./tokens/tokens.ts";

/** Tries to reach an actor. An actor that is falling asleep refuses a request and wakes with a later request. */
const MAX_TRIES = 20;

/** Milliseconds between two tries. */
const RETRY_MS = 250;

/** Header of the request that wakes an actor. Its value identifies the browser's connection. */
const TICKET = "x-agent-vm-visit";

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

/** Pending visits by ticket. An actor takes its visit out. */
const visits = new Map<string, Visit>();

/** Removes and returns the visit that a request to an actor identifies. */
export function takeVisit(request: Request): Visit | undefined {
  const ticket = request.headers.get(TICKET) ?? "";
  const found = visits.get(ticket);
  visits.delete(ticket);
  return found;
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
    if (target.isBare && opensPage(request)) {
      // A relative Location also works behind a proxy that adds a prefix.
      response.writeHead(307, { location: `${target.token}${target.path}`, ...CORS }).end();
      return true;
    }
    const { path, prefix } = target;
    const visit = { path, prefix, request, response };
    const fail = (error: AgentVmError) => refuse(response, error);
    const admit = () => {
      stranger.admit();
      this.#strip(request);
    };
    void stranger.during(this.#serve(target, visit, admit, pass, fail));
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
    const { path, prefix } = target;
    const visit = { path, prefix, request, socket, head };
    const fail = (error: AgentVmError) => refuseUpgrade(socket, error);
    const admit = () => {
      stranger.admit();
      this.#strip(request);
    };
    void stranger.during(this.#serve(target, visit, admit, pass, fail));
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
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const outcome = await this.#try(actorId, { token, visit, admit });
      if (outcome === "served") return;
      if (outcome === "not a VM" && prefix !== "") return pass();
      if (outcome !== "later") return fail(previewDenied());
      await delay(RETRY_MS);
    }
    fail(new AgentVmError("preview_failed", "The VM did not wake"));
  }

  async #try(actorId: string, visit: Visit): Promise<"served" | "not a VM" | "unknown" | "later"> {
    const name = this.#deps.nameOf(actorId);
    if (name === undefined) return "unknown";
    if (!this.#deps.isVm(name)) return "not a VM";
    // Text that cannot be a token must not wake an actor.
    if (!TOKEN.test(visit.token)) return "unknown";
    const ticket = randomUUID();
    visits.set(ticket, visit);
    const request = new Request("http://actor/request/fetch/", { headers: { [TICKET]: ticket } });
    const status = await this.#deps.send(actorId, request).then(
      (response) => response.status,
      () => 503,
    );
    if (!visits.delete(ticket)) return "served";
    return status === 404 || status === 410 ? "unknown" : "later";
  }

  /** Removes tokens of this server, which no program in a VM may see. The preview has looked at them. */
  #strip(request: IncomingMessage): void {
    const { policy } = this.#deps;
    dropAuthorization(request.rawHeaders, (value) => {
      const bearer = bearerOf(value);
      return bearer !== undefined && (bearer.startsWith(TOKEN_PREFIX) || isOwner(policy, [bearer]));
    });
  }
}
