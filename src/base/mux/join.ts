import type { AgentVmError } from "../../api/errors.ts";
import { deferred } from "../deferred.ts";
import type { MuxStream } from "./stream.ts";

/**
 * Time without a byte on a connection that one side has ended.
 * @unit ms
 * @past The connection is reset.
 */
const HALF_OPEN_MS = 300_000;

/**
 * Time for the last bytes of a closed connection to be taken.
 * @unit ms
 * @past The connection is reset.
 */
const FLUSH_MS = 30_000;

/** Memory that a piece takes beside its bytes while it waits. */
export const PIECE_COST_BYTES = 512;

/** The part of a socket that carries the bytes of a stream. It must allow half-open connections. */
export interface JoinedSocket {
  readonly destroyed: boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "data", listener: (bytes: Uint8Array) => void): unknown;
  once(event: "end" | "close", listener: () => void): unknown;
  write(bytes: Uint8Array, done: () => void): unknown;
  end(): unknown;
  pause(): unknown;
  resume(): unknown;
  setTimeout(ms: number, late: () => void): unknown;
  /** Closes the connection. */
  destroy(): unknown;
  /** Closes a TCP connection with a reset, which tells the other side that bytes are missing. Throws for a Unix socket. */
  resetAndDestroy(): unknown;
}

/**
 * Relays bytes between a stream and a socket. Each side may end its direction before the other. A broken socket resets the
 * stream, and a reset stream the socket.
 *
 * @param broken makes the error that the other side of the stream gets
 * @param hold counts bytes that wait for the socket, until the returned function is called. It may reset the stream
 * @returns a promise that resolves when both have closed, with the reason for which the stream was reset, if it has one
 */
export async function joinSocket(
  stream: MuxStream,
  socket: JoinedSocket,
  broken: (reason: Error) => AgentVmError,
  hold: (bytes: number) => () => void = () => () => undefined,
): Promise<AgentVmError | undefined> {
  const streamClosed = deferred<AgentVmError | undefined>();
  const socketClosed = deferred<void>();
  let failure: AgentVmError | undefined;
  let hasEnded = false;
  let flush: ReturnType<typeof setTimeout> | undefined;
  const oneSideEnded = () => socket.setTimeout(HALF_OPEN_MS, () => resetSocket(socket));
  socket.on("error", (error) => {
    failure ??= broken(error);
  });
  socket.on("data", (bytes) => {
    if (!stream.write(bytes)) socket.pause();
  });
  socket.once("end", () => {
    hasEnded = true;
    oneSideEnded();
    stream.end();
  });
  socket.once("close", () => {
    // A socket that closes by itself has ended in both directions.
    if (failure !== undefined || !hasEnded || !stream.otherHasEnded) stream.reset(failure);
    // Bytes that the other side has not taken yet are still sent.
    else if (!stream.isClosed) flush = setTimeout(() => stream.reset(), FLUSH_MS);
    socketClosed.resolve();
  });
  stream.onWritable = () => void socket.resume();
  stream.onData = (bytes) => {
    const release = hold(bytes.byteLength + PIECE_COST_BYTES);
    socket.write(bytes, () => {
      release();
      stream.grant(bytes.byteLength);
    });
  };
  stream.onEnd = () => {
    oneSideEnded();
    socket.end();
  };
  stream.onClosed = (wasReset, error) => {
    clearTimeout(flush);
    if (wasReset && !socket.destroyed) resetSocket(socket);
    streamClosed.resolve(error);
  };
  if (stream.isClosed) stream.onClosed(true);
  if (socket.destroyed) {
    stream.reset(failure);
    socketClosed.resolve();
  }
  await socketClosed.promise;
  return await streamClosed.promise;
}

/** Cuts a connection so that the other side notices, if it is one of TCP. */
export function resetSocket(socket: Pick<JoinedSocket, "destroy" | "resetAndDestroy">): void {
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}
