import { type IncomingMessage, type ServerResponse, request as startRequest } from "node:http";
import type { Duplex } from "node:stream";
import { canonicalName, endToEnd } from "../requests/end-to-end.ts";
import type { Framing } from "../requests/framing.ts";
import { relay } from "../requests/relay.ts";
import type { AddedHeaders } from "./headers.ts";

/** Sends a program's request over a connection to its destination, and the response back. */
export function forwardRequest(
  request: IncomingMessage,
  response: ServerResponse,
  way: {
    socket: Duplex;
    path: string;
    authority: string;
    framing: Framing;
    extra: AddedHeaders | undefined;
  },
): void {
  const { socket, path, authority, framing, extra } = way;
  const added = Object.entries(extra?.headers ?? {});
  // A program must not send another spelling of an added header, which its receiver may prefer.
  const taken = new Set(["host", "expect", "content-length", ...added.map(([name]) => canonicalName(name))]);
  const headers: Record<string, string[]> = Object.create(null);
  for (const [name, value] of endToEnd(request.rawHeaders)) {
    if (taken.has(canonicalName(name))) continue;
    headers[name] ??= [];
    headers[name].push(value);
  }
  // The policy allowed this host. A Host header of the program would name another site at the same address.
  headers.host = [authority.replace(/^.*@/, "")];
  for (const [name, value] of added) headers[name.toLowerCase()] = [value];
  const outgoing = startRequest({
    createConnection: () => socket,
    path,
    method: request.method,
    headers: { ...headers, ...framing },
    setHost: false,
  });
  response.once("close", () => outgoing.destroy());
  relay(request, response, outgoing, {
    framing,
    headersOf: (raw) => endToEnd(raw).flat(),
    fail: (error) => answer(response, 502, `agent-vm: ${error.message}\n`),
  });
}

/** Sends a response of the proxy itself and closes the connection. */
export function answer(response: ServerResponse, status: number, text: string, phrase?: string): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  // Close the connection: the parser would read the rest of a request body as the next request.
  const headers = { "content-type": "text/plain", connection: "close" };
  if (phrase === undefined) response.writeHead(status, headers);
  else response.writeHead(status, phrase, headers);
  response.end(text);
}
