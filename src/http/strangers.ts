import type { Server } from "node:http";
import type { Socket } from "node:net";
import { limitExceeded } from "../api/errors.ts";
import { MAX_STRANGERS, MAX_STRANGERS_PER_ADDRESS, STRANGER_IDLE_MS } from "./limits.ts";

/** Bounds the connections of a server that have not yet sent a request with access. */
export class Strangers {
  readonly #timers = new Map<Socket, NodeJS.Timeout>();
  readonly #byAddress = new Map<string, number>();

  /** Counts the connections that a server accepts from now on. */
  watch(server: Server): void {
    // Node hands over a connection before it reads from it.
    server.prependListener("connection", (socket: Socket) => this.#accept(socket));
  }

  /** Gives a connection that has sent a request more time for its next request. */
  refresh(socket: Socket): void {
    this.#timers.get(socket)?.refresh();
  }

  /** Stops counting a connection, because it has sent a request with access. */
  admit(socket: Socket): void {
    const timer = this.#timers.get(socket);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.#timers.delete(socket);
    const address = addressOf.get(socket) ?? "";
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? "";
    const known = this.#byAddress.get(address) ?? 0;
    if (this.#timers.size >= MAX_STRANGERS) {
      refuse(socket, { MAX_STRANGERS });
      return;
    }
    if (known >= MAX_STRANGERS_PER_ADDRESS) {
      refuse(socket, { MAX_STRANGERS_PER_ADDRESS });
      return;
    }
    addressOf.set(socket, address);
    this.#byAddress.set(address, known + 1);
    this.#timers.set(socket, setTimeout(() => socket.destroy(), STRANGER_IDLE_MS).unref());
    socket.once("close", () => this.admit(socket));
  }
}

/** Addresses of connections. A closed socket does not know its own. */
const addressOf = new WeakMap<Socket, string>();

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
