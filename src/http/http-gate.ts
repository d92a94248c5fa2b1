import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { AgentVmError } from "../api/errors.ts";
import { assertNotDraining } from "../monitoring/draining.ts";
import { nameOutlet } from "../rivet/outlets.ts";
import { withDecodableBody } from "../rivet/request-bodies.ts";
import { isParsableTarget } from "../rivet/upgrade-target.ts";
import type { AccessRequest } from "./access.ts";
import { dropHeader } from "./drop-header.ts";
import { clientOf, type Grant, NOTHING } from "./grant.ts";
import { holdBody } from "./held-body.ts";
import { refuseHttp2 } from "./http2-refusal.ts";
import { HEADERS_TIMEOUT_MS, KEEP_ALIVE_MS, REQUEST_TIMEOUT_MS } from "./limits.ts";
import { isPlainTarget } from "./plain-target.ts";
import type { PreviewGate } from "./preview-gate.ts";
import { putInFront } from "./server-front.ts";
import { type Stranger, Strangers } from "./strangers.ts";

/** Answers a request that is admitted. An error becomes its answer. */
export type Route = (request: IncomingMessage, grant: Grant) => Promise<unknown>;

/** Lets a request in. @throws AgentVmError if it is refused */
export type Admit = (message: IncomingMessage, request: AccessRequest) => Promise<Grant>;

/** An answer that is not JSON with status 200. */
export class RawAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;

  constructor(status: number, contentType: string, body: string) {
    this.status = status;
    this.contentType = contentType;
    this.body = body;
  }
}

/** An answer that a route writes by itself. */
export class OwnAnswer {
  readonly send: (response: ServerResponse) => Promise<void>;

  constructor(send: OwnAnswer["send"]) {
    this.send = send;
  }
}

interface Tunnelling {
  /** @returns whether the upgrade is for a tunnel */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, stranger: Stranger): boolean;
}

interface GateOptions {
  /** Finds the answer of a path that is not the same for all requests. @default none */
  routeOf?(method: string, path: string): Route | undefined;
  /** Answers of paths that need no token, also while the server shuts down. */
  openRoutes?: Readonly<Record<string, Route>>;
  /** Finds a further answer that needs no token, by method and path. @default none */
  openRoute?(name: string): Route | undefined;
  /** Bounds the connections. The owner admits upgrades that the gate hands on. @default an own one */
  strangers?: Strangers;
  /** Takes upgrades to tunnels. @default there are none */
  tunnels?: Tunnelling;
  /** Called with the error of each request that is refused. @param route its method and path: `POST /tokens/create` */
  onRefused?(error: AgentVmError, route: string): void;
}

/** Paths that every RivetKit server answers without a token. */
const OPEN_PATHS = new Set(["/", "/health", "/metadata"]);

/**
 * Puts the access policy in front of RivetKit's whole HTTP server. The guarded manager refuses requests as well. The gate
 * refuses them before their body is read (RivetKit reads the body of `PUT /actors` whole), and guards the routes that
 * never reach the manager.
 */
export class HttpGate {
  readonly #admit: Admit;
  readonly #previews: Pick<PreviewGate, "request" | "upgrade">;
  readonly #routes: Readonly<Record<string, Route>>;
  readonly #strangers: Strangers;
  readonly #options: Omit<GateOptions, "strangers">;

  /**
   * @param previews answers requests for previews, which carry a preview's token
   * @param routes answers of this server's own paths as JSON, by method and path: `GET /vms`
   */
  constructor(
    admit: Admit,
    previews: Pick<PreviewGate, "request" | "upgrade">,
    routes: Readonly<Record<string, Route>>,
    { strangers = new Strangers(), ...options }: GateOptions = {},
  ) {
    this.#strangers = strangers;
    this.#options = options;
    this.#admit = admit;
    this.#previews = previews;
    this.#routes = routes;
  }

  /** Puts the gate in front of a server's listeners, which get the admitted requests. */
  guard(server: Server): void {
    refuseHttp2(server);
    // For Node 24.9 and newer. An older Node takes each offer of another protocol, such as h2c, out of the parser for good.
    Object.assign(server, { shouldUpgradeCallback: asksForWebSocket });
    server.headersTimeout = HEADERS_TIMEOUT_MS;
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#strangers.watch(server);
    putInFront(server, {
      request: (request, response, handOn) => {
        // Nobody behind the gate may take the offer of another protocol for a WebSocket.
        dropHeader(request, "upgrade");
        const stranger = this.#strangers.of(request.socket);
        stranger.begin(response);
        const pass = () => {
          if (!isPlainTarget(request.url ?? "")) return refuse(request, response, ambiguousTarget());
          const name = `${request.method} ${pathOf(request)}`;
          const open = this.#options.openRoutes?.[name] ?? this.#options.openRoute?.(name);
          if (open !== undefined) void answer(request, response, NOTHING, open);
          else if (isOpen(request)) handOn();
          else void this.#serve(request, response, handOn);
        };
        if (!this.#previews.request(request, response, stranger, pass)) pass();
      },
      // The gate lets every upgrade pass: the guarded manager can tell a WebSocket why it refuses it. The connection counts
      // as a stranger's until the manager lets it in.
      upgrade: (request, socket, head, pass) => {
        const stranger = this.#strangers.of(request.socket);
        stranger.begin(socket);
        if (this.#previews.upgrade(request, socket, head, stranger, pass)) return;
        if (this.#options.tunnels?.upgrade(request, socket, head, stranger)) return;
        const target = request.url ?? "";
        nameOutlet(request);
        if (isPlainTarget(target) && isParsableTarget(target)) pass();
        else socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      },
    });
  }

  /** Answers a request of this server's own paths, and a request that is refused. Hands on all others. */
  async #serve(request: IncomingMessage, response: ServerResponse, handOn: () => void): Promise<void> {
    const path = pathOf(request);
    const header = (name: string) => request.headers[name]?.toString();
    const release = holdBody(request);
    const routeName = `${request.method} ${path}`;
    const route = this.#routes[routeName] ?? this.#options.routeOf?.(request.method ?? "", path);
    let grant: Grant;
    try {
      grant = await this.#admit(request, { header, path, external: true });
      if (route === undefined) assertNotDraining();
      this.#strangers.admitClient(request.socket, grant);
    } catch (error) {
      // The body of a refused request stays unread.
      const refusal = toError(error);
      this.#options.onRefused?.(refusal, routeName);
      return refuse(request, response, refusal);
    }
    release(() => {
      if (route !== undefined) void answer(request, response, grant, route);
      else {
        const refused = (error: AgentVmError) => refuse(request, response, error);
        withDecodableBody(request, response, path, handOn, refused, clientOf(grant));
      }
    });
  }
}

/** Returns whether an upgrade is to a WebSocket. A client may offer several protocols. */
function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return /(^|,)\s*websocket\s*(,|$)/i.test(headers.upgrade ?? "");
}

function ambiguousTarget(): AgentVmError {
  return new AgentVmError(
    "invalid_argument",
    "The path of the request has another spelling. Send it decoded",
    {
      argument: "path",
    },
  );
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  grant: Grant,
  route: Route,
): Promise<void> {
  try {
    const value = await route(request, grant);
    if (value instanceof OwnAnswer) {
      allowPages(request, response);
      await value.send(response);
    } else if (value instanceof RawAnswer) sendRaw(request, response, value);
    else send(request, response, 200, value ?? null);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else sendError(request, response, toError(error));
  }
}

/** Adds headers to the answer, as RivetKit's own answers carry them, with which a client in a page can read it. */
function allowPages({ headers }: IncomingMessage, response: ServerResponse): void {
  response.setHeader("access-control-allow-origin", headers.origin ?? "*");
  response.setHeader("access-control-allow-credentials", "true");
  response.setHeader("vary", "Origin");
}

function toError(error: unknown): AgentVmError {
  if (error instanceof AgentVmError) return error;
  return new AgentVmError("internal_error", "The server failed to answer");
}

/** Answers with an error, and closes the connection. */
function refuse(request: IncomingMessage, response: ServerResponse, error: AgentVmError): void {
  response.setHeader("connection", "close");
  sendError(request, response, error);
}

function sendError(request: IncomingMessage, response: ServerResponse, error: AgentVmError): void {
  const { code, message, metadata, status } = error;
  send(request, response, status, { group: "user", code, message, metadata });
}

function send(request: IncomingMessage, response: ServerResponse, status: number, value: unknown): void {
  sendRaw(request, response, new RawAnswer(status, "application/json", JSON.stringify(value)));
}

function sendRaw(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body }: RawAnswer,
): void {
  allowPages(request, response);
  response.writeHead(status, { "content-type": contentType });
  response.end(body);
}

/** Returns whether the server answers a request without a token. A browser's preflight has no credentials. */
function isOpen(request: IncomingMessage): boolean {
  return request.method === "OPTIONS" || OPEN_PATHS.has(pathOf(request));
}

function pathOf({ url = "/" }: IncomingMessage): string {
  return url.split("?")[0] ?? "/";
}
