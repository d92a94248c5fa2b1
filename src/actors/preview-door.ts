import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { AgentVmError } from "../api/errors.ts";
import {
  type PreviewRequest,
  type PreviewUpgrade,
  refuse,
  refuseUpgrade,
} from "../runtime/network/preview-proxy.ts";
import type { AccessPolicy } from "./access.ts";
import { type PreviewTarget, parsePreview, strayPath } from "./preview-path.ts";

/** An actor that is going to sleep is asked again this often, as it wakes with the next request. */
const MAX_TRIES = 20;
const RETRY_MS = 250;

/** Names a visit in the request that wakes its actor. */
const TICKET = "x-agent-vm-visit";

const TOKEN = /^[\w-]{32}$/;

export const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "*",
  "access-control-allow-headers": "*",
  "access-control-max-age": "86400",
};

interface Visit {
  token: string;
  visit: PreviewRequest | PreviewUpgrade;
}

/** Visits on their way to their actors. */
const visits = new Map<string, Visit>();

/** The visit that a request to an actor stands for; it is handed out once. */
export function takeVisit(request: Request): Visit | undefined {
  const ticket = request.headers.get(TICKET) ?? "";
  const found = visits.get(ticket);
  visits.delete(ticket);
  return found;
}

export interface PreviewDoorParts {
  policy: AccessPolicy;
  /** The name of an actor's definition; `undefined` where there is no such actor. */
  nameOf(actorId: string): Promise<string | undefined>;
  /** Whether actors of this name are VMs. */
  isVm(name: string): boolean;
  /** Wakes an actor with a request to its onRequest. */
  send(actorId: string, request: Request): Promise<Response>;
}

/**
 * Lets requests for previews in, which need no other credential than the token in their path. The actor checks it. It is
 * woken by a request of RivetKit's own, and then answers the browser's connection itself: RivetKit would normalize the
 * path, read no further than its limits, and know nothing of pings, subprotocols or back-pressure.
 */
export class PreviewDoor {
  readonly #parts: PreviewDoorParts;

  constructor(parts: PreviewDoorParts) {
    this.#parts = parts;
  }

  /**
   * @param pass goes on with a request that turns out to be another actor's.
   * @returns whether the request is for a preview.
   */
  request(request: IncomingMessage, response: ServerResponse, pass: () => void): boolean {
    const url = request.url ?? "";
    const target = parsePreview(url);
    if (target === undefined) {
      const stray = strayPath(url, request.headers.host, request.headers.referer);
      if (stray !== undefined) response.writeHead(307, { location: stray, ...CORS }).end();
      return stray !== undefined;
    }
    if (request.method === "OPTIONS") {
      response.writeHead(204, CORS).end();
      return true;
    }
    this.#strip(request);
    const navigates = request.method === "GET" && request.headers.accept?.includes("text/html");
    if (target.isBare && navigates) {
      // Relative, as a proxy in front may have put something before it.
      response.writeHead(307, { location: `${target.token}${target.path}`, ...CORS }).end();
      return true;
    }
    const visit = { path: target.path, prefix: target.prefix, request, response };
    void this.#serve(target, visit, pass, (error) => refuse(response, error));
    return true;
  }

  /** The same for a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, pass: () => void): boolean {
    const target = parsePreview(request.url ?? "");
    if (target === undefined) return false;
    socket.on("error", () => socket.destroy());
    this.#strip(request);
    const visit = { path: target.path, prefix: target.prefix, request, socket, head };
    void this.#serve(target, visit, pass, (error) => refuseUpgrade(socket, error));
    return true;
  }

  async #serve(
    { actorId, token }: PreviewTarget,
    visit: PreviewRequest | PreviewUpgrade,
    pass: () => void,
    fail: (error: AgentVmError) => void,
  ): Promise<void> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const outcome = await this.#try(actorId, token, visit);
      if (outcome === "served") return;
      if (outcome === "not a VM") return pass();
      if (outcome === "unknown") return fail(denied());
      await delay(RETRY_MS);
    }
    fail(new AgentVmError("preview_failed", "The VM does not wake"));
  }

  async #try(
    actorId: string,
    token: string,
    visit: Visit["visit"],
  ): Promise<"served" | "not a VM" | "unknown" | "later"> {
    // One that is going to sleep at this very moment has no name either.
    const found = await this.#parts.nameOf(actorId).then(
      (name) => ({ name }),
      () => undefined,
    );
    if (found === undefined) return "later";
    if (found.name === undefined) return "unknown";
    if (!this.#parts.isVm(found.name)) return "not a VM";
    // No actor is woken for what cannot be a token.
    if (!TOKEN.test(token)) return "unknown";
    const ticket = randomUUID();
    visits.set(ticket, { token, visit });
    const request = new Request("http://actor/request/fetch/", { headers: { [TICKET]: ticket } });
    const status = await this.#parts.send(actorId, request).then(
      (response) => response.status,
      () => 503,
    );
    if (!visits.delete(ticket)) return "served";
    return status === 404 ? "unknown" : "later";
  }

  /** The server's own token is for nobody inside. */
  #strip(request: IncomingMessage): void {
    const { token } = this.#parts.policy;
    if (token === undefined || request.headers.authorization !== `Bearer ${token}`) return;
    for (let index = 0; index < request.rawHeaders.length; index += 2) {
      if (request.rawHeaders[index]?.toLowerCase() === "authorization") request.rawHeaders.splice(index, 2);
    }
  }
}

function denied(): AgentVmError {
  return new AgentVmError("preview_denied", "The preview URL is unknown or has expired");
}
