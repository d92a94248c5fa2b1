import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Takes the requests and upgrades of a server before its listeners do. `pass` hands one on to them. */
interface Front {
  request(request: IncomingMessage, response: ServerResponse, pass: () => void): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, pass: () => void): void;
}

/** Puts a front before the listeners that a server has now. */
export function putInFront(server: Server, front: Front): void {
  const requests = take<[IncomingMessage, ServerResponse]>(server, "request");
  const upgrades = take<[IncomingMessage, Duplex, Buffer]>(server, "upgrade");
  server.on("request", (...args) => front.request(...args, () => requests(...args)));
  server.on("upgrade", (...args) => front.upgrade(...args, () => upgrades(...args)));
}

/** Removes the listeners of an event. @returns calls them */
function take<Args extends unknown[]>(server: Server, event: string): (...args: Args) => void {
  const listeners = server.listeners(event) as ((...args: Args) => void)[];
  server.removeAllListeners(event);
  return (...args) => {
    for (const listener of listeners) listener(...args);
  };
}
