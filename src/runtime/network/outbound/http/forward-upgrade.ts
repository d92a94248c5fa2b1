import { type IncomingMessage, request as startRequest } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { endToEnd } from "../../requests/end-to-end.ts";
import { boundInterim } from "../../requests/framing.ts";
import { relaySockets } from "../../requests/relay-sockets.ts";
import { answerRaw } from "./answer.ts";
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
  const headOf = (answer: IncomingMessage, more: readonly string[]) => {
    const lines = [`HTTP/1.1 ${answer.statusCode} ${mask.text(answer.statusMessage ?? "")}`, ...more];
    for (const [name, value] of endToEnd(answer.rawHeaders)) lines.push(`${name}: ${mask.text(value)}`);
    return `${lines.join("\r\n")}\r\n\r\n`;
  };
  inside.once("close", () => outgoing.destroy());
  boundInterim(outgoing);
  outgoing.once("error", (error) => {
    if (!inside.destroyed) answerRaw(inside, "502 Bad Gateway", error.message);
  });
  outgoing.once("response", (answer) => {
    // `pipeline` throws for a connection whose other end has just left.
    if (inside.destroyed) return void outgoing.destroy();
    inside.write(headOf(answer, ["connection: close"]));
    pipeline(answer, mask.stream(), inside, () => inside.destroy());
  });
  outgoing.once("upgrade", (answer, outside, first) => {
    inside.write(headOf(answer, ["connection: Upgrade", "upgrade: websocket"]));
    inside.write(first);
    outside.write(head);
    relaySockets(inside, outside);
  });
  outgoing.end();
}
