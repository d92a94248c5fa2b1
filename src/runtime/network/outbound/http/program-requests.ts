import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import { Semaphore } from "../../../../base/semaphore.ts";
import { MAX_SECRET_BODIES } from "../../limits.ts";
import { framingOf } from "../../requests/framing.ts";
import { type CredentialPlace, type CredentialRules, credentialsFor } from "../credentials/rules.ts";
import type { Destination, OutboundGate, Permit } from "../gate.ts";
import { GREETING_MS, openTls } from "../sockets.ts";
import { answer, answerRaw } from "./answer.ts";
import { failureOf } from "./failure.ts";
import { forwardRequest, PreparedRequest } from "./forward.ts";
import { asksForWebSocket, forwardUpgrade } from "./forward-upgrade.ts";
import { KeptConnection } from "./kept-connection.ts";
import { isSameHost, parseAuthority } from "./parse-authority.ts";
import { Unanswered } from "./unanswered.ts";

const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/** A destination to which a program has opened a connection whose requests the server reads. */
export interface Origin {
  destination: Destination;
  /** Host and port as in a `Host` header. */
  authority: string;
  /** `true` for a connection whose TLS the server has ended. */
  isOpened: boolean;
  /** The connection to the outside behind an opened one. */
  kept?: KeptConnection;
}

interface RequestsDeps {
  gate: OutboundGate;
  credentials(): CredentialRules;
  /** Authorities that the server trusts. @default the system's */
  trust?(): SecureContext | undefined;
  /** Finds the process at the other end of a connection to the proxy. */
  findPid(connection: Duplex): Destination["findPid"];
  /** Serves CONNECT. */
  onConnect(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Where a request leads, or why it leads nowhere. */
type Target =
  | {
      destination: Destination;
      authority: string;
      path: string;
      isOpened: boolean;
      kept?: KeptConnection | undefined;
    }
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
  readonly #bodies = new Semaphore(MAX_SECRET_BODIES);
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

  /** Serves a connection. @param origin its destination; without one its requests are those to a proxy */
  serve(socket: Duplex, origin?: Origin): void {
    if (origin !== undefined)
      this.#origins.set(socket, origin.isOpened ? this.#withKept(socket, origin) : origin);
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
    if (framing === undefined) return answer(response, 400, "agent-vm: the request's length is not clear\n");
    const { kept } = target;
    kept?.begin(response);
    const fail = (error: Error) => {
      const [status, phrase] = failureOf(error);
      answer(response, status, `agent-vm: ${error.message}\n`, phrase);
    };
    try {
      const { place, prepared } = this.#prepare(request, target, framing);
      const permit = await this.#permit(request, target, place, abort.signal);
      if (prepared.needsBody) await this.#replaceBody(prepared);
      abort.signal.throwIfAborted();
      if (kept !== undefined) kept.permit = permit;
      forwardRequest(
        request,
        response,
        prepared,
        kept ?? (await this.#open(target, place, permit, abort.signal)),
        fail,
      );
    } catch (error) {
      fail(error as Error);
    }
  }

  /** Keeps the connection to the outside of an opened connection. The gate cuts it when the policy denies it. */
  #withKept(socket: Duplex, origin: Origin): Origin {
    const kept: KeptConnection = new KeptConnection(socket, (signal) =>
      this.#open(origin, undefined, kept.permit, signal),
    );
    return { ...origin, kept };
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    const target = this.#targetOf(request);
    if ("status" in target) return answerRaw(socket, `${target.status} ${target.phrase}`, target.text);
    const framing = framingOf(request);
    // Node before 24 lets requests of other methods and protocols arrive here.
    if (!asksForWebSocket(request) || framing === undefined || Object.keys(framing).length > 0)
      return answerRaw(socket, "400 Bad Request", "agent-vm: this is not a request for a WebSocket\n");
    const abort = new AbortController();
    socket.once("close", () => abort.abort());
    try {
      const { place, prepared } = this.#prepare(request, target, framing);
      const permit = await this.#permit(request, target, place, abort.signal);
      forwardUpgrade(socket, head, prepared, await this.#open(target, place, permit, abort.signal));
    } catch (error) {
      answerRaw(socket, failureOf(error).join(" "), `agent-vm: ${(error as Error).message}\n`);
    }
  }

  /** Finds the credentials of a request. */
  #prepare(
    request: IncomingMessage,
    { destination, authority, path }: Exclude<Target, { status: number }>,
    framing: Exclude<ReturnType<typeof framingOf>, undefined>,
  ) {
    const place = this.#deps.credentials().placeOf(destination);
    const credentials = place === undefined ? [] : credentialsFor(place, request.method ?? "", path);
    const known = place?.credentials ?? [];
    return {
      place,
      prepared: new PreparedRequest(request, { target: path, authority, framing, credentials, known }),
    };
  }

  /** Waits for the answer to a request that a rule of the policy asks about. @throws OutboundDenied */
  #permit(
    { method }: IncomingMessage,
    { destination, path }: Exclude<Target, { status: number }>,
    place: CredentialPlace | undefined,
    signal: AbortSignal,
  ): Promise<Permit | undefined> {
    const { port = destination.port } = place ?? {};
    const asked = { ...destination, port, method, path: path.replace(/[?#].*$/s, "") };
    return this.#deps.gate.permit(asked, signal);
  }

  async #replaceBody(prepared: PreparedRequest): Promise<void> {
    await this.#bodies.acquire();
    try {
      await prepared.replaceBody();
    } finally {
      this.#bodies.release();
    }
  }

  async #open(
    { destination, isOpened }: Pick<Origin, "destination" | "isOpened">,
    place: CredentialPlace | undefined,
    permit: Permit | undefined,
    signal: AbortSignal,
  ): Promise<Duplex> {
    const { gate, trust } = this.#deps;
    // A secret that has been removed meanwhile must not turn an encrypted connection into a plain one.
    const isTls = isOpened || place?.isTls === true;
    const raw = await gate.open({ ...destination, port: place?.port ?? destination.port, permit }, signal);
    if (!isTls) return raw;
    const leave = () => raw.destroy();
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await openTls(raw, destination.host, trust?.());
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #targetOf(request: IncomingMessage): Target {
    // TRACE would show the program its added headers.
    if (request.method === "TRACE") return refused(405, "Method Not Allowed", "TRACE is not allowed");
    const origin = this.#origins.get(request.socket);
    const { url = "" } = request;
    // Hosts disagree whether a path ends there, so a rule for paths could match another path than the host's.
    if (url.includes("#")) return refused(400, "Bad Request", "A request has no fragment: leave out #");
    if (origin === undefined) {
      const [, authority = "", rest = ""] = /^http:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
      const destination = parseAuthority(authority, 80);
      if (destination === undefined)
        return {
          status: 400,
          phrase: "Bad Request",
          text: "This is a proxy: request an absolute http:// URL\n",
        };
      const findPid = this.#deps.findPid(request.socket);
      return {
        destination: { ...destination, findPid },
        authority,
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
    return { destination, authority, path: url, isOpened, kept };
  }
}

function refused(status: number, phrase: string, text: string): Target {
  return { status, phrase, text: `agent-vm: ${text}\n` };
}
