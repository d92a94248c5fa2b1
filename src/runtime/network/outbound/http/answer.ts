import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** The body of a response of the proxy itself. Programs print it as a line, so it ends in no line break of its own. */
export function bodyOf(text: string): string {
  return `agent-vm: ${text}`;
}

/** Sends a response of the proxy itself and closes the connection. */
export function answer(response: ServerResponse, status: number, text: string, phrase?: string): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  // Close the connection: the parser would read the rest of a request body as the next request.
  const headers = { "content-type": "text/plain", connection: "close" };
  if (phrase === undefined) response.writeHead(status, headers);
  else response.writeHead(status, phrase, headers);
  response.end(bodyOf(text));
}

/** Sends such a response over a connection that has left HTTP, and closes it. */
export function answerRaw(socket: Duplex, line: string, text: string): void {
  const body = bodyOf(text);
  socket.end(
    [
      `HTTP/1.1 ${line}`,
      "content-type: text/plain",
      `content-length: ${Buffer.byteLength(body)}`,
      "connection: close",
      "",
      body,
    ].join("\r\n"),
    () => socket.destroy(),
  );
}
