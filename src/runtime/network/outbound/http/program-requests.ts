import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { cutReading } from "../../../../base/server-sockets.ts";
import { MAX_PIPELINED } from "../../limits.ts";
import { framingOf } from "../../requests/framing.ts";
import type { Destination } from "../destination.ts";
import { GREETING_MS } from "../sockets.ts";
import type { Ahead } from "./ahead.ts";
import { answer, answerRaw } from "./answer.ts";
import { failureOf } from "./failure.ts";
import { forwardRequest } from "./forward.ts";
import { asksForWebSocket, forwardUpgrade } from "./forward-upgrade.ts";
import { KeptConnection } from "./kept-connection.ts";
import type { OutgoingRequests, Target as OutgoingTarget } from "./outgoing-requests.ts";
import { isSameHost, parseAuthority } from "./parse-authority.ts";
import type { GivenRequest } from "./prepared-request.ts";

const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/** A destination to which a program has opened a connection whose requests the server reads. */
export interface Origin extends Pick<OutgoingTarget, "destination" | "authority" | "isOpened"> {
  /** The connection to the outside behind an opened one. */
  kept?: KeptConnection;
}

interface RequestsDeps {
  outgoing: OutgoingRequests;
  /** Finds the process at the other end of a connection to the proxy. */
  findPid(connection: Duplex): Destination["findPid"];
  /** Serves CONNECT. */
  onConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Where a request leads, or why it leads nowhere. */
type Target =
  | (OutgoingTarget & { kept?: KeptConnection | undefined })
  | { status: number; phrase: string; text: string };

/** Reads the HTTP requests of a VM's programs, and sends them on. All input comes from hostile programs. */
export class ProgramRequests {
  readonly #deps: RequestsDeps;
  readonly #server = createServer({
    requestTimeout: 0,
    headersTimeout: GREETING_MS,
    keepAliveTimeout: 5_000,
    // Programs try HTTP/2 by `Upgrade: h2c`; such a request is served without it.
    shouldUpgradeCallback: asksForWebSocket,
  });
  readonly #origins = new WeakMap<Duplex, Origin>();
  readonly #unanswered = new Unanswered();

  constructor(deps: RequestsDeps) {
    this.#deps = deps;
    this.#server.on("request", (request, response) => void this.#forward(request, response));
    this.#server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    this.#server.on("connect", (request, socket, head) => {
      socket.on("error", () => socket.destroy());
      // Refuse nested tunnels: each level would add to the memory that one connection uses.
      if (this.#origins.has(socket)) socket.end(BAD_REQUEST, () => socket.destroy());
      else deps.onConnect(request, socket, head);
    });
    this.#server.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end(BAD_REQUEST, () => socket.destroy());
      else socket.destroy();
    });
  }

  /**
   * Serves a connection.
   *
   * @param origin its destination; without one its requests are those to a proxy
   * @param ahead connection to the outside that is open already
   */
  serve(socket: Duplex, origin?: Origin, ahead?: Ahead): void {
    if (origin !== undefined)
      this.#origins.set(socket, origin.isOpened ? this.#withKept(socket, origin, ahead) : origin);
    this.#server.emit("connection", socket);
  }

  close(): void {
    this.#server.close();
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    if (!this.#unanswered.begin(socket)) return;
    const abort = new AbortController();
    response.once("close", () => {
      this.#unanswered.end(socket);
      abort.abort();
    });
    const target = this.#targetOf(request);
    if ("status" in target) return answer(response, target.status, target.text, target.phrase);
    const framing = framingOf(request);
    if (framing === undefined) return answer(response, 400, "the request's length is not clear");
    const { kept } = target;
    kept?.begin(response);
    const fail = (error: Error) => {
      const [status, phrase] = failureOf(error);
      answer(response, status, error.message, phrase);
    };
    try {
      const { prepared, place, permit } = await this.#deps.outgoing.prepare(
        givenOf(request),
        target,
        framing,
        abort.signal,
      );
      if (kept !== undefined) kept.permit = permit;
      const way = kept ?? (await this.#deps.outgoing.open(target, place, permit, abort.signal));
      forwardRequest(request, response, prepared, way, fail);
    } catch (error) {
      fail(error as Error);
    }
  }

  /** Keeps the connection to the outside of an opened connection. The gate cuts it when the policy denies it. */
  #withKept(socket: Duplex, origin: Origin, ahead: Ahead | undefined): Origin {
    const open = (signal: AbortSignal) => this.#deps.outgoing.open(origin, undefined, kept.permit, signal);
    const kept: KeptConnection = new KeptConnection(socket, open, ahead);
    return { ...origin, kept };
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const target = this.#targetOf(request);
    if ("status" in target) return answerRaw(socket, `${target.status} ${target.phrase}`, target.text);
    const framing = framingOf(request);
    // Node before 24 lets requests of other methods and protocols arrive here.
    if (!asksForWebSocket(request) || framing === undefined || Object.keys(framing).length > 0)
      return answerRaw(socket, "400 Bad Request", "this is not a request for a WebSocket");
    const abort = new AbortController();
    socket.once("close", () => abort.abort());
    try {
      const { outgoing } = this.#deps;
      const { prepared, place, permit } = await outgoing.prepare(
        givenOf(request),
        target,
        framing,
        abort.signal,
      );
      forwardUpgrade(socket, head, prepared, await outgoing.open(target, place, permit, abort.signal));
    } catch (error) {
      answerRaw(socket, failureOf(error).join(" "), (error as Error).message);
    }
  }

  #targetOf(request: IncomingMessage): Target {
    // TRACE would show the program its added headers.
    if (request.method === "TRACE") return refused(405, "Method Not Allowed", "TRACE is not allowed");
    const origin = this.#origins.get(request.socket);
    const { url = "", method = "" } = request;
    // Hosts disagree whether a path ends there, so a rule for paths could match another path than the host's.
    if (url.includes("#")) return refused(400, "Bad Request", "A request has no fragment: leave out #");
    if (origin === undefined) {
      const [, authority = "", rest = ""] = /^http:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
      const destination = parseAuthority(authority, 80);
      if (destination === undefined)
        return refused(400, "Bad Request", "This is a proxy: request an absolute http:// URL");
      const findPid = this.#deps.findPid(request.socket);
      return {
        destination: { ...destination, findPid },
        authority,
        method,
        path: rest.startsWith("/") ? rest : `/${rest}`,
        isOpened: false,
      };
    }
    const { destination, authority, isOpened, kept } = origin;
    if (!url.startsWith("/") && url !== "*")
      return refused(400, "Bad Request", `This connection is one to ${authority}: request a path`);
    const named = request.headers.host;
    if (isOpened && named !== undefined && !isSameHost(named, destination))
      return refused(
        421,
        "Misdirected Request",
        `This connection is one to ${authority}, not to another host`,
      );
    return { destination, authority, method, path: url, isOpened, kept };
  }
}

/** Counts the requests of each connection that have no whole response yet. Each of them holds memory. */
class Unanswered {
  readonly #counts = new WeakMap<Duplex, number>();

  /**
   * Counts a request. Cuts a connection with more than MAX_PIPELINED.
   *
   * @returns whether the request may be served
   */
  begin(connection: Duplex): boolean {
    const count = (this.#counts.get(connection) ?? 0) + 1;
    if (count > MAX_PIPELINED) cutReading(connection);
    else this.#counts.set(connection, count);
    return count <= MAX_PIPELINED;
  }

  /** The response to a request has closed. */
  end(connection: Duplex): void {
    this.#counts.set(connection, (this.#counts.get(connection) ?? 0) - 1);
  }
}

function givenOf(request: IncomingMessage): GivenRequest {
  return { rawHeaders: request.rawHeaders, headers: request.headers, body: request };
}

function refused(status: number, phrase: string, text: string): Target {
  return { status, phrase, text };
}
