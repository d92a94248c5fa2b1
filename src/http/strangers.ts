import type { Server } from "node:http";
import type { Socket } from "node:net";
import { limitExceeded } from "../api/errors.ts";
import { acceptedSocket } from "../base/server-sockets.ts";
import { ClientConnections, type Served } from "./client-connections.ts";
import type { Grant } from "./grant.ts";
import { KEEP_ALIVE_MS, MAX_STRANGERS, MAX_STRANGERS_PER_ADDRESS, STRANGER_IDLE_MS } from "./limits.ts";

/** A connection whose request is being decided. */
export interface Stranger {
  /** Counts a request until it ends, and gives the connection more time for its next one. */
  begin(served: Served): void;
  /** Keeps the connection while the server decides, which may have to wake a VM. */
  during(decision: Promise<void>): Promise<void>;
  /**
   * Counts the connection as its client's, because its request has access.
   *
   * @throws AgentVmError `limit_exceeded` if the client has too many connections
   */
  admit(grant: Grant): void;
  /** Stops counting the connection until a request to a preview has ended: the visitors of one preview may be many. */
  admitDuring(visit: Promise<void>): void;
}

/** Time without a byte after which the kernel asks the other side of a connection whether it is still there. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** A counted connection. */
interface Counted {
  timer: NodeJS.Timeout;
  address: string;
  /** Whether a preview has served the connection before. Such a connection makes room for a new one. */
  wasServed: boolean;
}

/** Names and values of the limits of connections without access: together, and from one address. */
interface Limits {
  total: Record<string, number>;
  perAddress: Record<string, number>;
  /** Connections of one client with access. */
  perClient?: number;
}

const PUBLIC: Limits = { total: { MAX_STRANGERS }, perAddress: { MAX_STRANGERS_PER_ADDRESS } };

/** Bounds the connections of a server that have not yet sent a request with access. */
export class Strangers {
  /** Connections that have not sent a request with access. A closed socket does not know its address. */
  readonly #counted = new Map<Socket, Counted>();
  /** Numbers of the requests to previews that run, by connections that have no other access. */
  readonly #visiting = new Map<Socket, { visits: number; address: string }>();
  /** Connections whose requests are being decided. */
  readonly #undecided = new Set<Socket>();
  readonly #byAddress = new Map<string, number>();
  readonly #limits: Limits;
  /** Called when a request of a connection has access. */
  readonly #onAdmitted = new WeakMap<Socket, () => void>();

  /** Connections that the watched servers have accepted. */
  readonly #accepted = new WeakSet<Socket>();
  readonly #clients: ClientConnections;

  constructor(limits: Limits = PUBLIC) {
    this.#limits = limits;
    this.#clients = new ClientConnections(limits.perClient);
  }

  /** Counts the connections that a server accepts from now on. */
  watch(server: Server): void {
    // Node hands over a connection before it reads from it.
    server.prependListener("connection", (socket: Socket) => this.#accept(socket));
  }

  of(socketOfRequest: Socket): Stranger {
    const socket = acceptedSocket(socketOfRequest);
    const refresh = () => void this.#counted.get(socket)?.timer.refresh();
    return {
      begin: (served) => {
        this.#clients.count(socket, served);
        refresh();
      },
      admit: (grant) => {
        this.admitClient(socket, grant);
        this.#onAdmitted.get(socket)?.();
      },
      admitDuring: (visit) => {
        this.admitDuring(socket, visit);
        this.#onAdmitted.get(socket)?.();
      },
      during: (decision) => {
        this.#undecided.add(socket);
        return decision.finally(() => {
          this.#undecided.delete(socket);
          refresh();
        });
      },
    };
  }

  /** Calls a function when a later check finds that a request of the connection has access. */
  whenAdmitted(socket: Socket, call: () => void): void {
    this.#onAdmitted.set(acceptedSocket(socket), call);
  }

  /**
   * Like `admitClient` for a WebSocket, by the message of its request. Ignores a message that did not come over a connection of a
   * watched server: the server that forwards a WebSocket counts its client.
   */
  admitWebSocket({ socket }: { socket?: Socket }, grant: Grant): void {
    if (socket !== undefined && this.#accepted.has(acceptedSocket(socket))) this.admitClient(socket, grant);
  }

  /**
   * Stops counting a connection as one without access, and counts it as its client's.
   *
   * @throws AgentVmError `limit_exceeded` if the client has too many connections
   */
  admitClient(socketOfRequest: Socket, grant: Grant): void {
    this.#clients.admit(acceptedSocket(socketOfRequest), grant);
    this.admit(socketOfRequest);
  }

  /** Stops counting a connection, because it has sent a request with access. */
  admit(socketOfRequest: Socket): void {
    const socket = acceptedSocket(socketOfRequest);
    this.#visiting.delete(socket);
    this.#forget(socket);
  }

  /** Stops counting a connection until a request to a preview has ended. */
  admitDuring(socketOfRequest: Socket, visit: Promise<void>): void {
    const socket = acceptedSocket(socketOfRequest);
    const { address } = this.#forget(socket) ?? this.#visiting.get(socket) ?? {};
    // Another request of the connection has access of its own.
    if (address === undefined) return;
    const visiting = this.#visiting.get(socket) ?? { visits: 0, address };
    visiting.visits += 1;
    this.#visiting.set(socket, visiting);
    void visit.finally(() => {
      visiting.visits -= 1;
      if (visiting.visits > 0 || this.#visiting.get(socket) !== visiting) return;
      this.#visiting.delete(socket);
      if (!socket.destroyed && this.#count(socket, address, true) !== undefined) socket.destroySoon();
    });
  }

  #forget(socket: Socket): Counted | undefined {
    const counted = this.#counted.get(socket);
    if (counted === undefined) return undefined;
    const { timer, address } = counted;
    clearTimeout(timer);
    this.#counted.delete(socket);
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
    return counted;
  }

  #accept(socket: Socket): void {
    this.#accepted.add(socket);
    // The connection of a client that has vanished would keep its VM awake for ever.
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    const refusal = this.#count(socket, socket.remoteAddress ?? "", false);
    if (refusal !== undefined) return void refuse(socket, refusal);
    socket.once("close", () => this.admit(socket));
  }

  /** Counts a connection. @returns the limit that refuses it */
  #count(socket: Socket, address: string, wasServed: boolean): Record<string, number> | undefined {
    const known = () => this.#byAddress.get(address) ?? 0;
    const { total, perAddress } = this.#limits;
    if (isReached(total, this.#counted.size) && !this.#makeRoom()) return total;
    if (isReached(perAddress, known()) && !this.#makeRoom(address)) return perAddress;
    this.#byAddress.set(address, known() + 1);
    const cut = () => {
      if (this.#undecided.has(socket)) timer.refresh();
      else socket.destroy();
    };
    const timer = setTimeout(cut, wasServed ? KEEP_ALIVE_MS : STRANGER_IDLE_MS).unref();
    this.#counted.set(socket, { timer, address, wasServed });
    return undefined;
  }

  /** Cuts the connection that waits longest for another request to a preview. @returns whether there was one */
  #makeRoom(from?: string): boolean {
    for (const [socket, { wasServed, address }] of this.#counted) {
      if (!wasServed || this.#undecided.has(socket) || (from !== undefined && from !== address)) continue;
      this.#forget(socket);
      socket.destroy();
      return true;
    }
    return false;
  }
}

function isReached(limit: Record<string, number>, count: number): boolean {
  return Object.values(limit).every((most) => count >= most);
}

function refuse(socket: Socket, limit: Record<string, number>): void {
  const error = limitExceeded(limit, "Too many connections without access", "Try again later.");
  const { code, message, metadata } = error;
  const body = JSON.stringify({ group: "user", code, message, metadata });
  socket.on("error", () => socket.destroy());
  socket.write(
    `HTTP/1.1 ${error.status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    // A reset ends the connection for a peer that reads nothing, too.
    () => socket.resetAndDestroy(),
  );
}
