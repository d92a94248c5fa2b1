import { type IncomingMessage, request as startRequest } from "node:http";
import type { Duplex } from "node:stream";
import { relayUpgrade } from "../../requests/relay-upgrade.ts";
import { answerRaw } from "./answer.ts";
import { maskedHeaders } from "./masked-headers.ts";
import type { PreparedRequest } from "./prepared-request.ts";

/** Returns whether a request asks for a WebSocket. */
export function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
}

/** Sends a program's request for a WebSocket on. Once the other side has accepted it, bytes pass unchanged. */
export function forwardUpgrade(
  inside: Duplex,
  head: Buffer,
  { path, headers, mask }: PreparedRequest,
  socket: Duplex,
): void {
  const outgoing = startRequest({
    createConnection: () => socket,
    path,
    method: "GET",
    headers: { ...headers, connection: "Upgrade", upgrade: "websocket" },
    setHost: false,
  });
  relayUpgrade(inside, head, outgoing, {
    headersOf: (raw) => maskedHeaders(raw, mask).flat(),
    phraseOf: (phrase) => mask.text(phrase),
    through: mask.isEmpty ? undefined : mask.stream(),
    fail(error) {
      if (!inside.destroyed) answerRaw(inside, "502 Bad Gateway", error.message);
    },
  });
}
