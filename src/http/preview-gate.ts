import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { AgentVmError, connectionLost, previewDenied } from "../api/errors.ts";
import { dropAuthorization } from "../runtime/network/previews/authorization.ts";
import type { PreviewRequest, PreviewUpgrade } from "../runtime/network/previews/preview-proxy.ts";
import { CORS, opensPage, refuse, refuseUpgrade } from "../runtime/network/previews/refusals.ts";
import { type AccessPolicy, bearerOf, isOwner } from "./access.ts";
import { type VisitedActors, visitVm } from "./actor-visits.ts";
import { type PreviewTarget, parsePreview, strayPath } from "./preview-path.ts";
import type { Stranger } from "./strangers.ts";
import { TOKEN_PREFIX } from "./tokens/tokens.ts";

const TOKEN = /^[\w-]{32}$/;

/** Target of a request to a host name that names no preview. */
const NOWHERE = { actorId: "", token: "" };

/** Returns whether an `Authorization` header has a token of this server. */
export function isServerToken(policy: AccessPolicy, authorization: string): boolean {
  const bearer = bearerOf(authorization);
  return bearer !== undefined && (bearer.startsWith(TOKEN_PREFIX) || isOwner(policy, [bearer]));
}

/** Dependencies of a PreviewGate. */
interface PreviewGateDeps extends VisitedActors {
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
    if (target.isBare && TOKEN.test(target.token) && opensPage(request)) {
      // A relative Location also works behind a proxy that adds a prefix.
      response.writeHead(307, { location: `./${target.token}${target.path}`, ...CORS }).end();
      return true;
    }
    const { path, prefix } = target;
    const visit = { path, prefix, request, response };
    const fail = (error: AgentVmError) => refuse(response, error);
    this.#receive(request, stranger, (admit) => this.#serve(target, visit, admit, pass, fail));
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
    this.#receive(request, stranger, (admit) => this.#serve(target, visit, admit, pass, fail));
    return true;
  }

  /** Serves a request of a connection, which is admitted while the request runs. */
  #receive(request: IncomingMessage, stranger: Stranger, serve: (admit: () => void) => Promise<void>): void {
    const over = Promise.withResolvers<void>();
    const admit = () => {
      stranger.admitDuring(over.promise);
      this.#strip(request);
    };
    void stranger.during(serve(admit)).finally(over.resolve);
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
    const outcome = await visitVm(this.#deps, actorId, ({ vm, keys }) =>
      vm.servePreview(token, visit, { admit, keys }),
    );
    if (outcome === "unknown") fail(previewDenied());
    else if (outcome === "moved") fail(connectionLost("The VM has just moved to another server"));
    else if (outcome === "asleep") fail(new AgentVmError("preview_failed", "The VM did not wake"));
  }

  /** Removes tokens of this server, which no program in a VM may see. The preview has looked at them. */
  #strip(request: IncomingMessage): void {
    const { policy } = this.#deps;
    dropAuthorization(request.rawHeaders, (value) => isServerToken(policy, value));
  }
}
