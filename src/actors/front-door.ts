import diagnostics from "node:diagnostics_channel";
import { type IncomingMessage, Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type AccessPolicy, refusal } from "./access.ts";
import type { PreviewDoor } from "./preview-door.ts";

type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;
type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** What every server of RivetKit tells of itself, and a browser's question before a request. */
const OPEN_PATHS = new Set(["/", "/health", "/metadata"]);

/**
 * Puts the access policy in front of the whole HTTP server that RivetKit is about to start. The guarded driver refuses
 * what it must by itself; this refuses earlier, before a stranger's body is read into memory (RivetKit reads that of
 * `PUT /actors` whole), and also what never reaches the driver.
 *
 * @param port tells where the server listens; RivetKit may choose another port at its start.
 * @param previews takes what has a credential of its own.
 */
export function guardServer(port: () => number, policy: AccessPolicy, previews: PreviewDoor): void {
  // RivetKit keeps its HTTP server to itself; Node tells of every one that begins to listen.
  const channel = diagnostics.tracingChannel("net.server.listen");
  const subscribers = {
    asyncEnd(message: object) {
      const { server } = message as { server: unknown };
      if (!(server instanceof Server) || (server.address() as AddressInfo | null)?.port !== port()) return;
      channel.unsubscribe(subscribers as Parameters<typeof channel.unsubscribe>[0]);
      standInFront(server, policy, previews);
    },
  };
  channel.subscribe(subscribers as Parameters<typeof channel.subscribe>[0]);
}

/** WebSockets pass: the guard tells them why they are refused. */
function standInFront(server: Server, policy: AccessPolicy, previews: PreviewDoor): void {
  const requests = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const pass = () => {
      if (!refused(policy, request, response)) for (const listener of requests) listener(request, response);
    };
    if (!previews.request(request, response, pass)) pass();
  });

  const upgrades = server.listeners("upgrade") as UpgradeListener[];
  server.removeAllListeners("upgrade");
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const pass = () => {
      for (const listener of upgrades) listener(request, socket, head);
    };
    if (previews.upgrade(request, socket, head, pass)) return;
    // RivetKit's listener throws where it cannot parse the URL, unheard, which would end the process.
    if (URL.canParse(request.url ?? "/", "http://localhost")) pass();
    else socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
}

/** Answers a request that is not welcome. @returns whether it did. */
function refused(policy: AccessPolicy, request: IncomingMessage, response: ServerResponse): boolean {
  const [path = "/"] = (request.url ?? "/").split("?");
  if (request.method === "OPTIONS" || OPEN_PATHS.has(path)) return false;
  const header = (name: string) => request.headers[name]?.toString();
  const error = refusal(policy, { header, path, external: true });
  if (!error) return false;
  const { code, message, metadata, status } = error;
  response.writeHead(status, {
    "content-type": "application/json",
    connection: "close",
    // As on RivetKit's own answers, so that a page's client can read why.
    "access-control-allow-origin": header("origin") ?? "*",
    "access-control-allow-credentials": "true",
    vary: "Origin",
  });
  response.end(JSON.stringify({ group: "user", code, message, metadata }));
  return true;
}
