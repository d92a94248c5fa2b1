import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { limitExceeded } from "../api/errors.ts";
import { keptDescriptors } from "../runtime/sandbox/host-room.ts";
import type { Grant } from "./grant.ts";
import { MAX_CONNECTIONS_PER_CLIENT } from "./limits.ts";

/** Part of the descriptors for connections that one client may take. */
const PART_OF_DESCRIPTORS = 1 / 2;

/** Ends with its request: an answer, or the socket of a WebSocket. */
export type Served = ServerResponse | Duplex;

/**
 * Bounds the connections of each client with access, so that one token cannot take the descriptors of all clients. The
 * administrator has no limit.
 */
export class ClientConnections {
  readonly #clients = new Map<Socket, string>();
  /** Connections of each client, the longest unused one first. */
  readonly #byClient = new Map<string, Set<Socket>>();
  /** Numbers of the requests under way, by connections of any sender. */
  readonly #running = new WeakMap<Socket, number>();
  readonly #limit: number;

  /**
   * @param most `Infinity` for no limit, also none by the descriptors
   * @param kept descriptors for connections
   */
  constructor(most = MAX_CONNECTIONS_PER_CLIENT, kept = keptDescriptors()) {
    const part = Math.floor(kept * PART_OF_DESCRIPTORS);
    this.#limit = Number.isFinite(most) ? Math.min(most, part) : most;
  }

  /** Counts a request from its arrival, whether it gets access or not: the server does not cut its connection to make room. */
  count(socket: Socket, served: Served): void {
    const add = (change: number) => this.#running.set(socket, (this.#running.get(socket) ?? 0) + change);
    add(1);
    served.once("close", () => add(-1));
  }

  /**
   * Notes that a connection is a client's. The client's connection that is unused for longest makes room for a new one.
   *
   * @throws AgentVmError `limit_exceeded` if all connections of the client have requests under way
   */
  admit(socket: Socket, { unlimited, tokenId, identity }: Grant): void {
    if (unlimited || socket.destroyed) return;
    // A client has one limit for all its VMs: `authorize` may answer with another scope for each.
    const client = JSON.stringify(tokenId ?? [identity]);
    const own = this.#byClient.get(client) ?? new Set();
    if (!own.has(socket) && own.size >= this.#limit && !this.#cutIdle(own)) {
      throw limitExceeded(
        { MAX_CONNECTIONS_PER_CLIENT: this.#limit },
        "Too many connections of one client have requests or WebSockets under way",
        "End some of them first.",
      );
    }
    if (!this.#clients.has(socket)) socket.once("close", () => this.#forget(socket));
    this.#forget(socket);
    this.#clients.set(socket, client);
    this.#byClient.set(client, (this.#byClient.get(client) ?? own).add(socket));
  }

  /** @returns whether there was one */
  #cutIdle(own: ReadonlySet<Socket>): boolean {
    for (const socket of own) {
      if ((this.#running.get(socket) ?? 0) > 0) continue;
      this.#forget(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #forget(socket: Socket): void {
    const client = this.#clients.get(socket) ?? "";
    this.#clients.delete(socket);
    const own = this.#byClient.get(client);
    own?.delete(socket);
    if (own?.size === 0) this.#byClient.delete(client);
  }
}
