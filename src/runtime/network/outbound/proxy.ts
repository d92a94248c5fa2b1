import type { IncomingMessage } from "node:http";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import { canonicalHost } from "../../../api/network-rule.ts";
import { MAX_OUTBOUND_CONNECTIONS } from "../limits.ts";
import { relaySockets } from "../requests/relay-sockets.ts";
import type { VmAuthority } from "./authority/authority.ts";
import type { CredentialRules } from "./credentials/rules.ts";
import { OutboundDenied } from "./denial.ts";
import type { Destination } from "./destination.ts";
import type { OutboundGate } from "./gate.ts";
import { HTTP1_ONLY, HTTP2_FIRST } from "./http/ahead.ts";
import { answerRaw } from "./http/answer.ts";
import { DENIED } from "./http/failure.ts";
import { OutgoingRequests } from "./http/outgoing-requests.ts";
import { parseAuthority } from "./http/parse-authority.ts";
import { type Origin, ProgramRequests } from "./http/program-requests.ts";
import { ProgramStreams } from "./http2/program-streams.ts";
import { Sink } from "./sink.ts";
import {
  acceptTls,
  beginsHttp2,
  GREETING_MS,
  joinHalves,
  offersHttp2,
  onFirstByte,
  signalOf,
} from "./sockets.ts";
import { readSocksRequest, SOCKS_REPLY, SOCKS_VERSION, socksReply } from "./socks.ts";

/** First byte of a TLS handshake. */
const TLS_HANDSHAKE = 0x16;

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

const ESTABLISHED = "HTTP/1.1 200 Connection Established\r\n\r\n";

interface ProxyDeps {
  gate: OutboundGate;
  /** Returns the pid of the VM's process that holds the other end of a connection. */
  ownerOf(connection: Socket): Promise<number | undefined>;
  /** Credentials for requests on their way out, as they are now. */
  credentials(): CredentialRules;
  /** Authority that the VM's programs trust. Without one, encrypted connections pass unopened. */
  authority?(): VmAuthority | undefined;
  /** Authorities that the server trusts. @default the system's */
  trust?(): SecureContext | undefined;
}

/**
 * Outbound proxy of a VM: HTTP requests, CONNECT and SOCKS 5 on one port inside the VM, served by this process. The gate
 * checks every destination. All input comes from hostile programs.
 */
export class OutboundProxy {
  readonly port: number;
  readonly #deps: ProxyDeps;
  readonly #server: Server;
  readonly #outgoing: OutgoingRequests;
  readonly #requests: ProgramRequests;
  readonly #streams: ProgramStreams;
  readonly #sockets = new Set<Duplex>();

  /** @param server listens inside the VM */
  constructor(server: Server, deps: ProxyDeps) {
    this.#deps = deps;
    this.#server = server;
    const address = server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
    this.#outgoing = new OutgoingRequests(deps);
    this.#streams = new ProgramStreams(this.#outgoing);
    this.#requests = new ProgramRequests({
      outgoing: this.#outgoing,
      findPid: (connection) => () => deps.ownerOf(connection as Socket),
      onConnect: (request, socket, head) => void this.#tunnel(request, socket, head),
    });
    server.on("connection", (socket) => this.#accept(socket));
    server.on("error", () => server.close());
  }

  close(): void {
    this.#server.close();
    this.#requests.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Counts a connection of a program, and cuts it with the proxy. @returns `false` if there are too many */
  admit(socket: Socket): boolean {
    if (this.#sockets.size >= MAX_OUTBOUND_CONNECTIONS) return false;
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    // The head of an answer must not wait for an acknowledgement before its body follows: 40 ms for each.
    socket.setNoDelay(true);
    return true;
  }

  /** Serves an admitted connection that a program has opened to its destination itself. */
  async direct(socket: Socket, destination: Destination): Promise<void> {
    const target = this.#withPid(socket, destination);
    try {
      if (await this.#readsRequests(target)) {
        return this.#readRequests(socket, target);
      }
      const sink = new Sink(socket);
      const wanted = { ...target, allowHalfOpen: true, sink };
      joinHalves(socket, await this.#deps.gate.open(wanted, signalOf(socket)), sink);
    } catch {
      // The program has its connection already, so that only a reset can say that there is none.
      socket.resetAndDestroy();
    }
  }

  #accept(socket: Socket): void {
    if (!this.admit(socket)) return void socket.destroy();
    onFirstByte(socket, (first) => {
      if (first === SOCKS_VERSION) void this.#socks(socket);
      else this.#requests.serve(socket);
    });
  }

  async #tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const destination = parseAuthority(request.url ?? "", undefined);
    if (destination === undefined)
      return answerRaw(socket, "400 Bad Request", "CONNECT needs a host and a port");
    const target = this.#withPid(request.socket, destination);
    try {
      await this.#lead(socket, target, () => {
        socket.write(ESTABLISHED);
        if (head.byteLength > 0) socket.unshift(head);
      });
    } catch (error) {
      const line = error instanceof OutboundDenied ? `403 ${DENIED}` : "502 Bad Gateway";
      answerRaw(socket, line, (error as Error).message);
    }
  }

  /** Leads a connection of a program to its destination. @param accept tells the program that the way is open */
  async #lead(socket: Duplex, target: Destination, accept: () => void): Promise<void> {
    const readsRequests = await this.#readsRequests(target);
    const outside = readsRequests ? undefined : await this.#deps.gate.open(target, signalOf(socket));
    accept();
    if (outside === undefined) this.#readRequests(socket, target);
    else relaySockets(socket, outside);
  }

  /**
   * Says whether the server reads the requests to a destination: if credentials name it, unless the server cannot open its
   * connections.
   *
   * @throws OutboundDenied if the policy denies such a destination
   */
  async #readsRequests(destination: Destination): Promise<boolean> {
    const place = this.#deps.credentials().placeOf(destination);
    if (place === undefined) return false;
    // On the port of https programs speak TLS only.
    if (this.#deps.authority?.() === undefined && place.isTls && destination.port === HTTPS_PORT)
      return false;
    await this.#deps.gate.check({ ...destination, port: place.port });
    return true;
  }

  /** Reads and forwards the requests of a connection to a destination that credentials name. */
  #readRequests(socket: Duplex, destination: Destination): void {
    const { host, port } = destination;
    const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    const authorityOn = (usual: number) => (port === usual ? name : `${name}:${port}`);
    onFirstByte(socket, async (first) => {
      if (first !== TLS_HANDSHAKE) {
        const origin = { destination, authority: authorityOn(HTTP_PORT), isOpened: false };
        if (!(await beginsHttp2(socket))) return this.#requests.serve(socket, origin);
        return this.#streams.serve(socket, {
          ...origin,
          place: this.#deps.credentials().placeOf(destination),
        });
      }
      const authority = this.#deps.authority?.();
      const isTls = this.#deps.credentials().placeOf({ host, port })?.isTls === true && port !== HTTP_PORT;
      if (authority !== undefined && isTls) {
        const origin = { destination, authority: authorityOn(HTTPS_PORT), isOpened: true };
        return await this.#openTls(socket, canonicalHost(host) ?? host, authority, origin);
      }
      try {
        relaySockets(socket, await this.#deps.gate.open(destination, signalOf(socket)));
      } catch {
        // The program has its connection already, so the proxy can only close it.
        socket.destroy();
      }
    });
  }

  /** Ends the TLS of a program, and serves its requests in the protocol that it and the host speak. */
  async #openTls(socket: Duplex, host: string, authority: VmAuthority, origin: Origin): Promise<void> {
    const isHttp2 = await offersHttp2(socket);
    const ahead = isHttp2 ? await this.#outgoing.openAhead(origin, signalOf(socket)) : undefined;
    if (socket.destroyed) return ahead?.close();
    const opened = await acceptTls(socket, host, authority, ahead?.protocols ?? HTTP1_ONLY);
    if (opened === undefined) return ahead?.close();
    if (opened.alpnProtocol === "h2") return this.#streams.serve(opened, origin, ahead);
    // The program has chosen another protocol than the host.
    if (ahead?.protocols === HTTP2_FIRST) ahead.close();
    this.#requests.serve(opened, origin, ahead);
  }

  async #socks(socket: Socket): Promise<void> {
    const timer = setTimeout(() => socket.destroy(), GREETING_MS);
    try {
      const destination = await readSocksRequest(socket);
      if (destination === undefined) return;
      clearTimeout(timer);
      const target = this.#withPid(socket, destination);
      try {
        await this.#lead(socket, target, () => socket.write(socksReply(SOCKS_REPLY.ok)));
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
