import type { Socket } from "node:net";
import { limitExceeded } from "../api/errors.ts";
import { keptDescriptors } from "../runtime/sandbox/host-room.ts";
import { clientOf, type Grant } from "./grant.ts";
import { MAX_CONNECTIONS_PER_CLIENT } from "./limits.ts";

/** Part of the descriptors for connections that one client may take. */
const PART_OF_DESCRIPTORS = 1 / 2;

interface Connection {
  client: string;
  /** Number of its requests that are under way. A WebSocket is one until its connection ends. */
  running: number;
}

/**
 * Bounds the connections of each client with access, so that one token cannot take the descriptors of all clients. The
 * administrator has no limit.
 */
export class ClientConnections {
  readonly #connections = new Map<Socket, Connection>();
  /** Connections of each client, the longest unused one first. */
  readonly #byClient = new Map<string, Set<Socket>>();
  readonly #limit: number;

  constructor(most = MAX_CONNECTIONS_PER_CLIENT) {
    this.#limit = Math.min(most, Math.floor(keptDescriptors() * PART_OF_DESCRIPTORS));
  }

  /**
   * Notes a request of a client. The client's connection that is unused for longest makes room for a new one.
   *
   * @returns notes the end of the request
   * @throws AgentVmError `limit_exceeded` if all connections of the client have requests under way
   */
  begin(socket: Socket, grant: Grant): () => void {
    if (grant.unlimited || socket.destroyed) return () => undefined;
    const client = clientOf(grant);
    const own = this.#byClient.get(client) ?? new Set();
    if (!own.has(socket) && own.size >= this.#limit && !this.#cutIdle(own)) {
      throw limitExceeded(
        { MAX_CONNECTIONS_PER_CLIENT: this.#limit },
        "Too many connections of one client have requests or WebSockets under way",
        "End some of them first.",
      );
    }
    const known = this.#connections.get(socket);
    if (known === undefined) socket.once("close", () => this.#forget(socket));
    const connection = { client, running: (known?.running ?? 0) + 1 };
    this.#forget(socket);
    this.#connections.set(socket, connection);
    this.#byClient.set(client, (this.#byClient.get(client) ?? own).add(socket));
    return () => {
      const now = this.#connections.get(socket);
      if (now !== undefined) now.running -= 1;
    };
  }

  /** @returns whether there was one */
  #cutIdle(own: ReadonlySet<Socket>): boolean {
    for (const socket of own) {
      if (this.#connections.get(socket)?.running !== 0) continue;
      this.#forget(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  #forget(socket: Socket): void {
    const { client = "" } = this.#connections.get(socket) ?? {};
    this.#connections.delete(socket);
    const own = this.#byClient.get(client);
    own?.delete(socket);
    if (own?.size === 0) this.#byClient.delete(client);
  }
}
