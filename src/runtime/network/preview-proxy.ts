import { type IncomingMessage, type ServerResponse, request as startRequest } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream";
import { AgentVmError } from "../../api/errors.ts";
import { type Connect, connectWith } from "./agent.ts";
import { requestHeaders, responseHeaders } from "./preview-headers.ts";

/** A browser that does not close a WebSocket which the app has closed is cut after this long. */
const CLOSE_GRACE_MS = 2_000;

/** A browser's request below a preview's path. */
export interface PreviewVisit {
  /** What is asked of the app, byte for byte as the browser sent it. */
  path: string;
  /** Path of the preview as the browser sees it, without a final slash. */
  prefix: string;
  request: IncomingMessage;
}

export interface PreviewRequest extends PreviewVisit {
  response: ServerResponse;
}

/** The same for a WebSocket: the connection itself, and what has come on it behind the request's head. */
export interface PreviewUpgrade extends PreviewVisit {
  socket: Duplex;
  head: Buffer;
}

export interface PreviewWay {
  port: number;
  connect: Connect;
  /** The preview ends. */
  ended: AbortSignal;
}

/** Passes a request on to a port inside, and its answer back; both stream. Resolves when it is over. */
export function proxyRequest(visit: PreviewRequest, way: PreviewWay): Promise<void> {
  const { request, response } = visit;
  return new Promise((resolve) => {
    const outgoing = outgoingOf(visit, way);
    const end = () => {
      outgoing.destroy();
      response.destroy();
    };
    way.ended.addEventListener("abort", end, { once: true });
    response.once("close", () => {
      way.ended.removeEventListener("abort", end);
      outgoing.destroy();
      resolve();
    });
    outgoing.once("error", (error) => {
      if (response.headersSent) response.destroy();
      else refuse(response, badGateway(way.port, error));
    });
    outgoing.once("response", (answer) => {
      const { statusCode = 502, statusMessage, rawHeaders } = answer;
      try {
        response.writeHead(statusCode, statusMessage, responseHeaders(rawHeaders, way.port, visit.prefix));
      } catch (error) {
        // Node takes what it reads more freely than what it writes.
        answer.destroy();
        refuse(response, badGateway(way.port, error as Error));
        return;
      }
      response.flushHeaders();
      // Its failure has cut the answer, which is all that can be said once it has begun.
      pipeline(answer, response, () => undefined);
    });
    request.once("error", () => outgoing.destroy());
    request.pipe(outgoing);
    if (way.ended.aborted) end();
  });
}

/** Passes a WebSocket on to a port inside: once the app has agreed, the bytes go through as they are. */
export function proxyUpgrade(visit: PreviewUpgrade, way: PreviewWay): Promise<void> {
  const { socket, head, prefix } = visit;
  return new Promise((resolve) => {
    const outgoing = outgoingOf(visit, way, { connection: ["Upgrade"], upgrade: ["websocket"] });
    const end = () => {
      outgoing.destroy();
      socket.destroy();
    };
    way.ended.addEventListener("abort", end, { once: true });
    socket.once("close", () => {
      way.ended.removeEventListener("abort", end);
      outgoing.destroy();
      resolve();
    });
    socket.on("error", end);
    outgoing.once("error", (error) => refuseUpgrade(socket, badGateway(way.port, error)));
    outgoing.once("response", (answer) => {
      socket.write(
        headOf(answer, responseHeaders(answer.rawHeaders, way.port, prefix), ["Connection: close"]),
      );
      pipeline(answer, socket, () => socket.destroy());
    });
    outgoing.once("upgrade", (answer, inside, first) => {
      inside.on("error", end);
      inside.once("close", () => {
        // The browser's own goodbye may still be on its way.
        socket.end(() => setTimeout(() => socket.destroy(), CLOSE_GRACE_MS).unref());
      });
      socket.once("close", () => inside.destroy());
      const headers = responseHeaders(answer.rawHeaders, way.port, prefix);
      socket.write(headOf(answer, headers, ["Connection: Upgrade", "Upgrade: websocket"]));
      socket.write(first);
      inside.write(head);
      inside.pipe(socket).pipe(inside);
    });
    outgoing.end();
    if (way.ended.aborted) end();
  });
}

function outgoingOf(
  { request, path, prefix }: PreviewVisit,
  { port, connect }: PreviewWay,
  added: Record<string, string[]> = {},
) {
  const headers = requestHeaders({
    rawHeaders: request.rawHeaders,
    port,
    prefix,
    remoteAddress: request.socket.remoteAddress,
    isEncrypted: "encrypted" in request.socket,
  });
  return startRequest({
    createConnection: connectWith(connect),
    port,
    path,
    method: request.method,
    headers: { ...headers, ...added },
    setHost: false,
  });
}

function headOf(answer: IncomingMessage, headers: readonly string[], more: readonly string[]): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`, ...more];
  for (let index = 0; index < headers.length; index += 2)
    lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function badGateway(port: number, { message }: Error): AgentVmError {
  return new AgentVmError("preview_failed", `Port ${port} of the VM did not answer: ${message}`, { port });
}

/** Readable by any page, as every answer of a preview is. */
export function refuse(response: ServerResponse, error: AgentVmError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(error.status, { ...REFUSAL, connection: "close" });
  response.end(refusalBody(error));
}

export function refuseUpgrade(socket: Duplex, error: AgentVmError): void {
  if (socket.destroyed) return;
  const body = refusalBody(error);
  const headers = Object.entries(REFUSAL).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n`;
  socket.end(`HTTP/1.1 ${error.status} Refused\r\n${headers.join("")}${length}\r\n${body}`, () =>
    socket.destroy(),
  );
}

const REFUSAL = { "content-type": "application/json", "access-control-allow-origin": "*" };

function refusalBody({ code, message, metadata }: AgentVmError): string {
  return JSON.stringify({ code, message, metadata });
}
