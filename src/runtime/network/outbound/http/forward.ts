import { type IncomingMessage, type ServerResponse, request as startRequest } from "node:http";
import type { Duplex } from "node:stream";
import { relay } from "../../requests/relay.ts";
import { KeptConnection } from "./kept-connection.ts";
import { maskedHeaders } from "./masked-headers.ts";
import type { PreparedRequest } from "./prepared-request.ts";

/**
 * Sends a program's request to its destination, and the response back.
 *
 * @param way a connection of this request's own, or a kept connection
 * @param fail answers in the destination's place
 */
export function forwardRequest(
  request: IncomingMessage,
  response: ServerResponse,
  prepared: PreparedRequest,
  way: Duplex | KeptConnection,
  fail: (error: Error) => void,
): void {
  const { path, headers, framing, body, mask } = prepared;
  const outgoing = startRequest({
    ...(way instanceof KeptConnection ? { agent: way } : { createConnection: () => way }),
    path,
    method: request.method,
    // An agent of Node wants a single Host.
    headers: { ...headers, ...framing, host: String(headers.host) },
    setHost: false,
  });
  response.once("close", () => outgoing.destroy());
  prepared.onUnreplaced((error) => outgoing.destroy(error));
  relay(request, response, outgoing, {
    framing,
    body,
    headersOf: (raw) => maskedHeaders(raw, mask).flat(),
    phraseOf: (phrase) => mask.text(phrase),
    through: mask.isEmpty ? undefined : mask.stream(),
    fail(error) {
      // The host has closed the connection just as the request began: the program knows whether it may repeat it.
      const isStale = outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET";
      if (isStale && !response.headersSent) request.socket.destroy();
      else fail(error);
    },
  });
}
