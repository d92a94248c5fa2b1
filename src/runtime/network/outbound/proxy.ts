import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { canonicalHost } from "../../../api/network-rule.ts";
import { MAX_OUTBOUND_CONNECTIONS } from "../limits.ts";
import { framingOf } from "../requests/framing.ts";
import { answer, forwardRequest } from "./forward.ts";
import { type Destination, OutboundDenied, type OutboundGate } from "./gate.ts";
import type { AddedHeaders } from "./headers.ts";
import { GREETING_MS, join, joinHalves, onFirstByte, openTls, signalOf } from "./sockets.ts";
import { readSocksRequest, SOCKS_REPLY, SOCKS_VERSION, socksReply } from "./socks.ts";

/** First byte of a TLS handshake. */
const TLS_HANDSHAKE = 0x16;

const ESTABLISHED = "HTTP/1.1 200 Connection Established\r\n\r\n";

/** Reason phrase of a denial. npm, pip and wget show it. */
const DENIED = "Denied by the network policy of agent-vm";

const HTTPS_PORT = 443;

const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

interface ProxyDeps {
  gate: OutboundGate;
  /** Returns the pid of the VM's process that holds the other end of a connection. */
  ownerOf(connection: Socket): Promise<number | undefined>;
  added: Map<string, AddedHeaders>;
  /** CA certificates in PEM that replace the system's, for tests. */
  ca?: string | undefined;
}

/**
 * Outbound proxy of a VM: HTTP requests, CONNECT and SOCKS 5 on one port inside the VM, served by this process. The gate
 * checks every destination. All input comes from hostile programs.
 */
export class OutboundProxy {
  readonly #deps: ProxyDeps;
  readonly #server: Server;
  readonly #http = createServer({ requestTimeout: 0, headersTimeout: GREETING_MS, keepAliveTimeout: 5_000 });
  readonly #sockets = new Set<Duplex>();
  /** Destinations, as `http://host:port`, of the tunnels whose requests the proxy reads itself. */
  readonly #readTunnels = new WeakMap<Duplex, string>();

  /** @param server listens inside the VM */
  constructor(server: Server, deps: ProxyDeps) {
    this.#deps = deps;
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

  /** Counts a connection of a program, and cuts it with the proxy. @returns `false` if there are too many */
  admit(socket: Socket): boolean {
    if (this.#sockets.size >= MAX_OUTBOUND_CONNECTIONS) return false;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    return true;
  }

  /** Serves an admitted connection that a program has opened to its destination itself. */
  async direct(socket: Socket, destination: Destination): Promise<void> {
    const { host, port } = destination;
    const target = this.#withPid(socket, destination);
    if (this.#readsRequests(destination)) {
      const authority = host.includes(":") ? `[${host}]` : host;
      return this.#readRequests(socket, target, port === 80 ? authority : `${authority}:${port}`);
    }
    try {
      const outside = await this.#deps.gate.open({ ...target, allowHalfOpen: true }, signalOf(socket));
      joinHalves(socket, outside);
    } catch {
      // The program has its connection already, so that only a reset can say that there is none.
      socket.resetAndDestroy();
    }
  }

  #accept(socket: Socket): void {
    if (!this.admit(socket)) return void socket.destroy();
    onFirstByte(socket, (first) => {
      if (first === SOCKS_VERSION) void this.#socks(socket);
      else this.#http.emit("connection", socket);
    });
  }

  /** Serves a plain proxy request, such as `GET http://host/path`. */
  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = `${this.#readTunnels.get(request.socket) ?? ""}${request.url}`;
    const [, authority = "", rest = ""] = /^http:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
    const destination = parseAuthority(authority, 80);
    if (destination === undefined)
      return answer(response, 400, "This is a proxy: request an absolute http:// URL\n");
    // TRACE would show the program its added headers.
    if (request.method === "TRACE") return answer(response, 405, "agent-vm: TRACE is not allowed");
    const framing = framingOf(request);
    if (framing === undefined) return answer(response, 400, "agent-vm: the request's length is not clear\n");
    const abort = new AbortController();
    response.once("close", () => abort.abort());
    const extra = this.#addedTo(destination);
    try {
      const raw = await this.#deps.gate.open(
        { ...this.#withPid(request.socket, destination), port: extra?.port ?? destination.port },
        abort.signal,
      );
      const socket = extra?.isTls ? openTls(raw, destination.host, this.#deps.ca) : raw;
      forwardRequest(request, response, {
        socket,
        path: rest.startsWith("/") ? rest : `/${rest}`,
        authority,
        framing,
        extra,
      });
    } catch (error) {
      const [status, phrase] = error instanceof OutboundDenied ? [403, DENIED] : [502, undefined];
      answer(response, status, `agent-vm: ${(error as Error).message}\n`, phrase);
    }
  }

  async #tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => socket.destroy());
    // Refuse nested tunnels: each level would add to the memory that one connection uses.
    const isNested = this.#readTunnels.has(socket);
    const destination = isNested ? undefined : parseAuthority(request.url ?? "", undefined);
    if (destination === undefined) return void socket.end(BAD_REQUEST, () => socket.destroy());
    if (this.#readsRequests(destination)) {
      socket.write(ESTABLISHED);
      if (head.byteLength > 0) socket.unshift(head);
      const authority = (request.url ?? "").replace(/:80$/, "");
      return this.#readRequests(socket, this.#withPid(request.socket, destination), authority);
    }
    try {
      const outside = await this.#deps.gate.open(
        this.#withPid(request.socket, destination),
        signalOf(socket),
      );
      socket.write(ESTABLISHED);
      outside.write(head);
      join(socket, outside);
    } catch (error) {
      const isDenied = error instanceof OutboundDenied;
      const body = `agent-vm: ${(error as Error).message}\n`;
      const line = isDenied ? `403 ${DENIED}` : "502 Bad Gateway";
      socket.end(
        `HTTP/1.1 ${line}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    }
  }

  /** `true` for an origin with added headers, to which a program may send plain requests. */
  #readsRequests(destination: Destination): boolean {
    const extra = this.#addedTo(destination);
    return extra !== undefined && !(extra.isTls && destination.port === HTTPS_PORT);
  }

  /** Reads and forwards the plain requests of a connection to an origin with added headers. TLS passes unchanged. */
  #readRequests(socket: Duplex, destination: Destination, authority: string): void {
    onFirstByte(socket, async (first) => {
      if (first !== TLS_HANDSHAKE) {
        this.#readTunnels.set(socket, `http://${authority}`);
        this.#http.emit("connection", socket);
        return;
      }
      try {
        join(socket, await this.#deps.gate.open(destination, signalOf(socket)));
      } catch {
        // The program has its connection already, so the proxy can only close it.
        socket.destroy();
      }
    });
  }

  #addedTo({ host, port }: Destination): AddedHeaders | undefined {
    return this.#deps.added.get(`${canonicalHost(host)}:${port}`);
  }

  async #socks(socket: Socket): Promise<void> {
    const timer = setTimeout(() => socket.destroy(), GREETING_MS);
    try {
      const destination = await readSocksRequest(socket);
      if (destination === undefined) return;
      clearTimeout(timer);
      try {
        const outside = await this.#deps.gate.open(this.#withPid(socket, destination), signalOf(socket));
        socket.write(socksReply(SOCKS_REPLY.ok));
        join(socket, outside);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        const failed = code === "ECONNREFUSED" ? SOCKS_REPLY.refused : SOCKS_REPLY.unreachable;
        socket.end(socksReply(error instanceof OutboundDenied ? SOCKS_REPLY.denied : failed));
      }
    } catch {
      // The program left before it sent its destination.
      socket.destroy();
    } finally {
      clearTimeout(timer);
    }
  }

  #withPid(connection: Socket, destination: Destination): Destination {
    return { ...destination, findPid: () => this.#deps.ownerOf(connection) };
  }
}

/** Parses `host:port`, `[::1]:80` or `user@host:port`, and drops the user. */
function parseAuthority(authority: string, defaultPort: number | undefined): Destination | undefined {
  const [, host, port] = /^(?:[^@]*@)?(\[[^\]]+\]|[^:@[\]]+)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  if (host === undefined || (port === undefined && defaultPort === undefined)) return undefined;
  return { host, port: port === undefined ? (defaultPort as number) : Number(port) };
}
