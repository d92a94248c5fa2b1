import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Takes the requests and upgrades of a server before its listeners do. `pass` hands one on to them. */
interface Front {
  request(request: IncomingMessage, response: ServerResponse, pass: () => void): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, pass: () => void): void;
}

/** Puts a front before the listeners that a server has now. A request with two headers `Host` reaches none of them. */
export function putInFront(server: Server, front: Front): void {
  const requests = take<[IncomingMessage, ServerResponse]>(server, "request");
  const upgrades = take<[IncomingMessage, Duplex, Buffer]>(server, "upgrade");
  server.on("request", (request, response) => {
    if (hasOneHost(request)) front.request(request, response, () => requests(request, response));
    else response.writeHead(400, { connection: "close" }).end();
  });
  server.on("upgrade", (request, socket, head) => {
    if (hasOneHost(request)) front.upgrade(request, socket, head, () => upgrades(request, socket, head));
    else socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
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
