import type { ClientRequest, IncomingMessage } from "node:http";
import { AgentVmError } from "../../../api/errors.ts";
import { boundInterim } from "./framing.ts";
import { http2Only } from "./http2-only.ts";

/** Returns header pairs with lower-case names like fetch, and keeps repeated headers. */
export function headerPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    pairs.push([(raw[index] ?? "").toLowerCase(), raw[index + 1] ?? ""]);
  }
  return pairs;
}

/** Sends a request. Resolves with the head of its response. @param send sends the body, and ends the request */
export function answer(
  request: ClientRequest,
  signal: AbortSignal,
  send: (request: ClientRequest) => void,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    boundInterim(request);
    request.on("error", reject);
    // Node emits no error for a request that is aborted before it has a connection.
    const abort = () => {
      reject(signal.reason as Error);
      request.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    request.once("response", resolve);
    request.once("upgrade", (_response, socket) => {
      socket.destroy();
      reject(new Error("the server switched to another protocol"));
    });
    send(request);
  });
}

/** Returns the error of an aborted request: the VM stopped, or the caller aborted. */
export function aborted({ reason }: AbortSignal, port: number): Error {
  if (reason instanceof AgentVmError) return reason;
  return new AgentVmError("fetch_aborted", `The request to port ${port} was cancelled`, { port });
}

export function timedOut(port: number, timeoutMs: number): AgentVmError {
  return new AgentVmError("fetch_timeout", `Port ${port} did not answer within ${timeoutMs} ms`, {
    port,
    timeoutMs,
  });
}

export function fetchFailed(port: number, error: Error): AgentVmError {
  const refusal = http2Only(port, error);
  if (refusal !== undefined) return refusal;
  const { code } = error as NodeJS.ErrnoException;
  return new AgentVmError(
    "fetch_failed",
    `Port ${port} did not send a complete HTTP response: ${error.message}`,
    { port, ...(code === undefined ? {} : { reason: code }) },
    { cause: error },
  );
}
