import type { IncomingMessage, ServerResponse } from "node:http";
import { AgentVmError, connectionLost } from "../../api/errors.ts";
import { TRANSFER_IDLE_MS } from "../../api/limits.ts";
import { free } from "../../base/bytes.ts";
import { unlessAborted } from "../../base/within.ts";
import type { BodySource } from "../../runtime/transfers/bodies.ts";
import { Gathering } from "./gathering.ts";

/** Bytes that are read at a time, and buffers of one body. */
const PIECE_BYTES = 256 * 1024;
const BUFFERS = 3;

/** Sends bytes as a response. Waits for the client, whose connection is cut if it takes nothing for TRANSFER_IDLE_MS. */
export async function sendBody(
  source: BodySource,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  if (source.length !== undefined) response.setHeader("content-length", source.length);
  response.setHeader("content-type", "application/octet-stream");
  await whileAlive(response, signal, async (isAlive, gone) => {
    const buffers = Array.from({ length: BUFFERS }, () => ({
      bytes: undefined as Uint8Array | undefined,
      sent: Promise.resolve(),
    }));
    let sent = 0;
    for (let turn = 0; ; turn++) {
      const buffer = buffers[turn % BUFFERS] as (typeof buffers)[number];
      await unlessAborted(buffer.sent, gone);
      buffer.bytes ??= new Uint8Array(Math.min(PIECE_BYTES, source.length ?? PIECE_BYTES));
      const count = sent === source.length ? 0 : await source.fill(buffer.bytes);
      if (count === 0) break;
      sent += count;
      buffer.sent = written(response, buffer.bytes.subarray(0, count), isAlive);
      // The loop waits for it later, and must not leave its failure unhandled until then.
      buffer.sent.catch(() => undefined);
    }
    await unlessAborted(Promise.all(buffers.map(({ sent }) => sent)), gone);
    // A file that has become shorter leaves the response incomplete. The client would wait for the rest.
    if (sent < (source.length ?? sent)) response.destroy();
    else response.end();
  });
}

/**
 * Passes the bytes of a request on, in order. Ends a request that sends nothing for TRANSFER_IDLE_MS.
 *
 * @param write gets bytes that are valid until it resolves. It may be called once more after the connection has broken
 */
export async function receiveBody(
  request: IncomingMessage,
  write: (data: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await whileAlive(request, signal, async (isAlive) => {
    const gathering = new Gathering(write, Number(request.headers["content-length"] ?? Number.NaN));
    try {
      // The answer leaves on the same socket, so the loop must not destroy the request.
      for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        isAlive();
        await gathering.add(piece);
        free(piece);
      }
    } catch (error) {
      // The client sends the bytes again that are not written.
      await gathering.settled();
      throw error;
    }
    await gathering.end();
  });
}

/** Returns the error of work whose client has left. Nobody receives it, and no log needs it. */
export function clientLeft(cause: unknown): AgentVmError {
  return connectionLost("The connection to the client broke", cause);
}

function written(response: ServerResponse, data: Uint8Array, isAlive: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(data, (error) => {
      isAlive();
      if (error) reject(error);
      else resolve();
    });
  });
}

/**
 * Runs work on a connection, which is destroyed when the signal aborts or when nothing moves for TRANSFER_IDLE_MS.
 *
 * @param work calls `isAlive` when something has moved. `gone` aborts when the connection has closed
 */
async function whileAlive(
  connection: IncomingMessage | ServerResponse,
  signal: AbortSignal,
  work: (isAlive: () => void, gone: AbortSignal) => Promise<void>,
): Promise<void> {
  const gone = new AbortController();
  const closed = () => gone.abort(new Error("The connection has closed"));
  connection.once("close", closed);
  const cut = () => void connection.destroy();
  const idle = setTimeout(cut, TRANSFER_IDLE_MS).unref();
  signal.addEventListener("abort", cut, { once: true });
  if (signal.aborted) cut();
  try {
    await work(() => idle.refresh(), gone.signal);
  } catch (error) {
    throw connection.destroyed && !(error instanceof AgentVmError) ? clientLeft(error) : error;
  } finally {
    connection.removeListener("close", closed);
    clearTimeout(idle);
    signal.removeEventListener("abort", cut);
  }
}
