import { createServer, type IncomingMessage, type ServerResponse, request as startRequest } from "node:http";
import type { Server, Socket } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { connect as connectTls } from "node:tls";
import { MAX_OUTBOUND_CONNECTIONS } from "../../../api/limits.ts";
import { canonicalHost } from "../../../api/network-rule.ts";
import { endToEnd } from "../preview-headers.ts";
import { type Destination, OutboundDenied, type OutboundGate } from "./gate.ts";
import type { AddedHeaders } from "./headers.ts";
import { readSocksRequest, SOCKS_REPLY, SOCKS_VERSION, socksReply } from "./socks.ts";

/** A program that has connected must say what it wants within this time. */
const GREETING_MS = 30_000;

/** First byte of what a program sends that goes on with TLS. */
const TLS_HANDSHAKE = 0x16;

const ESTABLISHED = "HTTP/1.1 200 Connection Established\r\n\r\n";

/** A program that does not close a connection which the other side has closed is cut after this long. */
const CLOSE_GRACE_MS = 2_000;

const HTTPS_PORT = 443;

const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

export interface ProxyParts {
  gate: OutboundGate;
  /** The process inside that holds the other end of a connection. */
  holderOf(connection: Socket): Promise<number | undefined>;
  added: Map<string, AddedHeaders>;
  /** Certificates that are trusted besides the system's, for tests. */
  ca?: string | undefined;
}

/**
 * The way out of a VM: HTTP proxy, CONNECT and SOCKS 5 on one port inside, served by this process. What it is asked for
 * goes through the gate; everything else about a request is a hostile program's.
 */
export class OutboundProxy {
  readonly #parts: ProxyParts;
  readonly #server: Server;
  readonly #http = createServer({ requestTimeout: 0, headersTimeout: GREETING_MS, keepAliveTimeout: 5_000 });
  readonly #sockets = new Set<Duplex>();
  /** Where tunnels lead whose requests are read here, as `http://host:port`. */
  readonly #readTunnels = new WeakMap<Duplex, string>();

  /** @param server listens inside. */
  constructor(server: Server, parts: ProxyParts) {
    this.#parts = parts;
    this.#server = server;
    this.#http.on("request", (request, response) => void this.#forward(request, response));
    this.#http.on("connect", (request, socket, head) => void this.#tunnel(request, socket, head));
    this.#http.on("clientError", (_error, socket) => {
      if (socket.writable) socket.end(BAD_REQUEST, () => socket.destroy());
      else socket.destroy();
    });
    server.on("connection", (socket) => this.#accept(socket));
    server.on("error", () => server.close());
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    this.#http.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    if (this.#sockets.size >= MAX_OUTBOUND_CONNECTIONS) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    onFirstByte(socket, (first) => {
      if (first === SOCKS_VERSION) void this.#socks(socket);
      else this.#http.emit("connection", socket);
    });
  }

  /** A plain request, `GET http://host/path`. */
  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = `${this.#readTunnels.get(request.socket) ?? ""}${request.url}`;
    const [, authority = "", rest = ""] = /^http:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
    const destination = parseAuthority(authority, 80);
    if (destination === undefined) return answer(response, 400, "This is a proxy: ask it for http:// URLs\n");
    const abort = new AbortController();
    response.once("close", () => abort.abort());
    const extra = this.#addedTo(destination);
    try {
      const raw = await this.#parts.gate.open(
        { ...this.#askedBy(request.socket, destination), port: extra?.port ?? destination.port },
        abort.signal,
      );
      const socket = extra?.isTls ? this.#secure(raw, destination.host) : raw;
      this.#send(request, response, {
        socket,
        path: rest.startsWith("/") ? rest : `/${rest}`,
        authority,
        extra,
      });
    } catch (error) {
      answer(
        response,
        error instanceof OutboundDenied ? 403 : 502,
        `agent-vm: ${(error as Error).message}\n`,
      );
    }
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    way: { socket: Duplex; path: string; authority: string; extra: AddedHeaders | undefined },
  ): void {
    const { socket, path, authority, extra } = way;
    const headers: Record<string, string[]> = Object.create(null);
    for (const [name, value] of endToEnd(request.rawHeaders)) {
      headers[name] ??= [];
      headers[name].push(value);
    }
    // What was allowed is what is asked: a Host of its own would name another site at the same address.
    headers.host = [authority.replace(/^.*@/, "")];
    for (const [name, value] of Object.entries(extra?.headers ?? {})) headers[name.toLowerCase()] = [value];
    const outgoing = startRequest({
      createConnection: () => socket,
      path,
      method: request.method,
      headers,
      setHost: false,
    });
    response.once("close", () => outgoing.destroy());
    outgoing.once("error", (error) => answer(response, 502, `agent-vm: ${error.message}\n`));
    outgoing.once("response", (incoming) => {
      try {
        const raw = endToEnd(incoming.rawHeaders).flat();
        response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage, raw);
      } catch (error) {
        outgoing.destroy();
        answer(response, 502, `agent-vm: ${(error as Error).message}\n`);
        return;
      }
      response.flushHeaders();
      pipeline(incoming, response, () => undefined);
    });
    request.once("error", () => outgoing.destroy());
    request.pipe(outgoing);
  }

  async #tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    // A tunnel in a tunnel would add to what is held of one connection, as often as a program likes.
    const isNested = this.#readTunnels.has(socket);
    const destination = isNested ? undefined : parseAuthority(request.url ?? "", undefined);
    if (destination === undefined) return void socket.end(BAD_REQUEST, () => socket.destroy());
    const extra = this.#addedTo(destination);
    if (extra !== undefined && !(extra.isTls && destination.port === HTTPS_PORT)) {
      return this.#lookInto(request, socket, head, destination);
    }
    try {
      const outside = await this.#parts.gate.open(
        this.#askedBy(request.socket, destination),
        signalOf(socket),
      );
      socket.write(ESTABLISHED);
      outside.write(head);
      join(socket, outside);
    } catch (error) {
      const isDenied = error instanceof OutboundDenied;
      const body = `agent-vm: ${(error as Error).message}\n`;
      const line = isDenied ? "403 Forbidden" : "502 Bad Gateway";
      socket.end(
        `HTTP/1.1 ${line}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    }
  }

  /**
   * A tunnel to where headers are added. Some programs ask for one also for plain requests: those are read and
   * forwarded like any other. What they encrypt themselves goes through as it is.
   */
  #lookInto(request: IncomingMessage, socket: Duplex, head: Buffer, destination: Destination): void {
    socket.write(ESTABLISHED);
    if (head.byteLength > 0) socket.unshift(head);
    onFirstByte(socket, async (first) => {
      if (first !== TLS_HANDSHAKE) {
        this.#readTunnels.set(socket, `http://${request.url?.replace(/:80$/, "")}`);
        this.#http.emit("connection", socket);
        return;
      }
      try {
        const asked = this.#askedBy(request.socket, destination);
        join(socket, await this.#parts.gate.open(asked, signalOf(socket)));
      } catch {
        // It has been told that there is a tunnel; all that is left is to end it.
        socket.destroy();
      }
    });
  }

  #addedTo({ host, port }: Destination): AddedHeaders | undefined {
    return this.#parts.added.get(`${canonicalHost(host)}:${port}`);
  }

  async #socks(socket: Socket): Promise<void> {
    const timer = setTimeout(() => socket.destroy(), GREETING_MS);
    try {
      const destination = await readSocksRequest(socket);
      if (destination === undefined) return;
      clearTimeout(timer);
      try {
        const outside = await this.#parts.gate.open(this.#askedBy(socket, destination), signalOf(socket));
        socket.write(socksReply(SOCKS_REPLY.ok));
        join(socket, outside);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const failed = code === "ECONNREFUSED" ? SOCKS_REPLY.refused : SOCKS_REPLY.unreachable;
        socket.end(socksReply(error instanceof OutboundDenied ? SOCKS_REPLY.denied : failed));
      }
    } catch {
      // The client has gone before it said where it wants to go.
      socket.destroy();
    } finally {
      clearTimeout(timer);
    }
  }

  #askedBy(connection: Socket, destination: Destination): Destination {
    return { ...destination, asker: () => this.#parts.holderOf(connection) };
  }

  #secure(socket: Socket, host: string): Duplex {
    const { ca } = this.#parts;
    const servername = canonicalHost(host) ?? host;
    // An address has no name to send, and is checked all the same.
    const isAddress = /^[\d.]+$|:/.test(servername);
    const secure = connectTls({
      socket,
      host: servername,
      ...(isAddress ? {} : { servername }),
      ALPNProtocols: ["http/1.1"],
      ...(ca === undefined ? {} : { ca }),
    });
    secure.once("close", () => socket.destroy());
    return secure;
  }
}

/** Looks at what comes first, and leaves it to be read; a connection on which nothing comes is cut. */
function onFirstByte(socket: Duplex, look: (first: number) => void): void {
  const timer = setTimeout(() => socket.destroy(), GREETING_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.once("readable", () => {
    clearTimeout(timer);
    const first = socket.read(1) as Buffer | null;
    if (first === null) return void socket.destroy();
    socket.unshift(first);
    look(first[0] as number);
  });
}

/** `host:port`, also `[::1]:80`, also with a user before it, who is left out. */
function parseAuthority(authority: string, defaultPort: number | undefined): Destination | undefined {
  const [, host, port] = /^(?:[^@]*@)?(\[[^\]]+\]|[^:@[\]]+)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  if (host === undefined || (port === undefined && defaultPort === undefined)) return undefined;
  return { host, port: port === undefined ? (defaultPort as number) : Number(port) };
}

function signalOf(socket: Duplex): AbortSignal {
  const abort = new AbortController();
  socket.once("close", () => abort.abort());
  return abort.signal;
}

/** Bytes both ways until both have ended. */
function join(inside: Duplex, outside: Socket): void {
  outside.on("error", () => inside.destroy());
  // What has come is still handed over; who then does not hang up in turn is cut.
  outside.once("close", () => inside.end(() => setTimeout(() => inside.destroy(), CLOSE_GRACE_MS).unref()));
  inside.once("close", () => outside.destroy());
  inside.pipe(outside).pipe(inside);
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  // A body that is still coming would otherwise be read as the next request.
  response.writeHead(status, { "content-type": "text/plain", connection: "close" });
  response.end(text);
}
