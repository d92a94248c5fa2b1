import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { AgentVmError } from "../../api/errors.ts";
import { errorOf } from "../../rivet/user-error.ts";
import { refuse, refuseUpgrade } from "../../runtime/network/previews/refusals.ts";
import { refuseTunnel } from "../tunnels/refusal.ts";
import { parseTunnel } from "../tunnels/tunnel-path.ts";

const sockets = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: 1 });

/** Close code of a WebSocket that the server refuses. */
const REFUSED = 1011;

/** Milliseconds after which a refused WebSocket is cut if it does not close. */
const REFUSAL_LINGER_MS = 1_000;

/** An error as it leaves this server: one of the package, or one of Rivet with its own group. */
interface Sent {
  group: string;
  code: string;
  message: string;
  metadata: unknown;
  status: number;
}

interface Refusal {
  error: Error;
  /** Whether the request is for a preview, which gets an HTTP answer. */
  isPreview: boolean;
}

/** Answers a request that cannot be handed on. */
export function refuseRequest(response: ServerResponse, { error, isPreview }: Refusal): void {
  if (isPreview) return void refuse(response, previewError(error));
  if (response.headersSent || response.destroyed) return void response.destroy();
  const { status, ...body } = sent(error);
  response.writeHead(status, {
    "content-type": "application/json",
    "access-control-allow-origin": response.req.headers.origin ?? "*",
    "access-control-allow-credentials": "true",
    vary: "Origin",
    connection: "close",
  });
  response.end(JSON.stringify(body));
}

/** Closes a WebSocket that cannot be handed on, in the way in which its client reads the reason. */
export function refuseSocket(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { error, isPreview }: Refusal,
): void {
  if (socket.destroyed) return;
  const tunnel = parseTunnel(request.url ?? "");
  if (isPreview || tunnel?.kind === "socket") return void refuseUpgrade(socket, previewError(error));
  sockets.handleUpgrade(request, socket, head, (refused) => {
    if (tunnel !== undefined) return void refuseTunnel(refused, previewError(error));
    const { group, code } = sent(error);
    refused.on("error", () => refused.terminate());
    refused.close(REFUSED, `${group}.${code}`);
    setTimeout(() => refused.terminate(), REFUSAL_LINGER_MS).unref();
  });
}

function sent(error: Error): Sent {
  const { group = "user", statusCode } = error as { group?: string; statusCode?: number };
  const { code, metadata } = errorOf(error);
  const message = code === "internal_error" ? "The server failed to answer" : error.message;
  const status = error instanceof AgentVmError ? error.status : (statusCode ?? 503);
  return { group, code, message, metadata, status };
}

function previewError(error: Error): AgentVmError {
  return error instanceof AgentVmError
    ? error
    : new AgentVmError("vm_stopped", `The VM did not wake: ${error.message}`);
}
