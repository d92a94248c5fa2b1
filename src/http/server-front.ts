import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { cutReading } from "../base/server-sockets.ts";
import { MAX_UNANSWERED } from "./limits.ts";

/** Takes the requests and upgrades of a server before its listeners do. `pass` hands one on to them. */
interface Front {
  request(request: IncomingMessage, response: ServerResponse, pass: () => void): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, pass: () => void): void;
}

/**
 * Puts a front before the listeners that a server has now. A request with two headers `Host` reaches none of them. A connection with more
 * than MAX_UNANSWERED requests is cut.
 */
export function putInFront(server: Server, front: Front): void {
  const requests = take<[IncomingMessage, ServerResponse]>(server, "request");
  const upgrades = take<[IncomingMessage, Duplex, Buffer]>(server, "upgrade");
  server.on("request", (request, response) => {
    if (!endWithConnection(response, request.socket)) return;
    if (hasOneHost(request)) front.request(request, response, () => requests(request, response));
    else response.writeHead(400, { connection: "close" }).end();
  });
  server.on("upgrade", (request, socket, head) => {
    if (hasOneHost(request)) front.upgrade(request, socket, head, () => upgrades(request, socket, head));
    else socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
}

/** Answers of each connection that have not ended. */
const unended = new WeakMap<Duplex, Set<ServerResponse>>();

/**
 * Closes an answer when its connection closes. Node 20 and 22 forget answers that wait for an earlier answer of the connection.
 *
 * @returns `false` if the connection is cut
 */
function endWithConnection(response: ServerResponse, socket: Duplex): boolean {
  const responses = unended.get(socket) ?? new Set();
  if (responses.size >= MAX_UNANSWERED && !responses.has(response)) cutReading(socket);
  if (socket.destroyed) return false;
  if (!unended.has(socket)) {
    unended.set(socket, responses);
    socket.once("close", () => {
      for (const each of responses) each.destroy();
      // The answers that Node closes itself have closed by then.
      process.nextTick(() => {
        for (const each of responses) each.emit("close");
      });
    });
  }
  responses.add(response);
  response.once("close", () => responses.delete(response));
  return true;
}

/** Node takes the first of two, and a proxy in front may take the other (RFC 9112, section 3.2). */
function hasOneHost({ headersDistinct }: IncomingMessage): boolean {
  return (headersDistinct.host?.length ?? 0) <= 1;
}

/** Removes the listeners of an event. @returns calls them */
function take<Args extends unknown[]>(server: Server, event: string): (...args: Args) => void {
  const listeners = server.listeners(event) as ((...args: Args) => void)[];
  server.removeAllListeners(event);
  return (...args) => {
    for (const listener of listeners) listener(...args);
  };
}
