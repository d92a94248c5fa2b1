import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import * as ws from "ws";
import { parseGateway } from "../api/gateway-path.ts";
import { MAX_MESSAGE_BYTES } from "../api/limits.ts";
import { countUnended, noteBytes } from "./client-backlog.ts";
import { Outlet, outletName } from "./outlets.ts";
import { SocketTurns } from "./socket-turns.ts";
import { type Receiver, unmaskQuickly } from "./unmask.ts";
import { type Encoding, encodingOf, valueCounter } from "./value-counter.ts";

/** Bytes of a message above MAX_MESSAGE_BYTES that reach RivetKit, which refuses them with its own code. */
const SLACK_BYTES = 1024 * 1024;

/** Close code of a message that is too large (RFC 6455). */
const TOO_BIG = 1009;
/** Close code of a message that cannot be decoded. */
const INVALID = 1007;
/** Reason of both, which clients read as an error code. */
const REFUSED = "user.invalid_argument";

/** Reason with which RivetKit closes a connection whose message it cannot decode. Errors of actions are answers. */
const UNDECODED = "rivetkit.internal_error";

/** Memory of a piece of a message besides its bytes. A client may send a message in pieces of one byte. */
const PIECE_COST_BYTES = 256;

/** Time for a client to close a connection that the server closes. */
const CLOSE_GRACE_MS = 1_000;

/** Path of an actor for messages that RivetKit decodes. */
const CONNECT = /^\/connect(\?|$)/;

/** The parts of a WebSocket and of its server in the package `ws` that this file uses. */
interface WebSocket extends EventEmitter {
  send(...message: unknown[]): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  _receiver?: {
    _bufferedBytes: number;
    _buffers: readonly unknown[];
    _messageLength: number;
    _fragments: readonly unknown[];
  };
}
type Done = (webSocket: WebSocket, request: IncomingMessage) => void;
interface SocketServer {
  options: { allowSynchronousEvents?: boolean; maxPayload?: number };
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: Done): void;
}

let isPatched = false;

/** Sends the messages of sockets that wait for the end of the turn. */
const gathering = new Set<() => void>();

/**
 * Bounds the work of the event loop for messages of a WebSocket: one turn handles one message, a message with too many
 * values is not decoded, and nothing is handled after the server has closed. Messages to the client leave together.
 *
 * For RivetKit 2.2, which makes its WebSocket server out of reach and decodes each message as soon as it arrives. Thousands of
 * small messages in one packet would be handled in one turn.
 */
export function boundWebSockets(): void {
  if (isPatched) return;
  isPatched = true;
  // A server that ends exits in the turn of its last messages.
  process.on("exit", () => {
    for (const flush of gathering) flush();
  });
  unmaskQuickly((ws as unknown as { Receiver: { prototype: Receiver } }).Receiver.prototype);
  const { prototype } = ws.WebSocketServer as unknown as { prototype: SocketServer };
  const { handleUpgrade } = prototype;
  prototype.handleUpgrade = function (request, socket, head, done) {
    this.options.allowSynchronousEvents = false;
    this.options.maxPayload = Math.min(this.options.maxPayload || Infinity, MAX_MESSAGE_BYTES + SLACK_BYTES);
    handleUpgrade.call(this, request, socket, head, (webSocket) => {
      const turns = new SocketTurns();
      const outlet = guard(webSocket, request, turns);
      countUnended(
        request.socket,
        () => heldByMessage(webSocket) + turns.waitingBytes + (outlet?.waitingBytes ?? 0),
      );
      gather(webSocket, socket);
      done(webSocket, request);
    });
  };
}

/** @returns the outlet of the messages that RivetKit encodes */
function guard(
  webSocket: WebSocket,
  { headers, url = "" }: IncomingMessage,
  turns: SocketTurns,
): Outlet | undefined {
  const isDecoded = CONNECT.test(parseGateway(url)?.rest ?? "");
  const encoding = isDecoded ? encodingOf("GET", (name) => headers[name]?.toString()) : undefined;
  const { emit, close, send } = webSocket;
  const name = outletName((header) => headers[header]);
  const outlet = encoding && name !== undefined ? new Outlet("connection", encoding, name) : undefined;
  webSocket.once("close", () => outlet?.close());
  let isClosing = false;
  let isOpen = false;
  webSocket.close = (code, reason) => {
    isClosing = true;
    if (isOpen && reason === UNDECODED) close.call(webSocket, INVALID, REFUSED);
    else close.call(webSocket, code, reason);
    setTimeout(() => webSocket.terminate(), CLOSE_GRACE_MS).unref();
  };
  webSocket.send = (...message) => {
    turns.sent();
    const parts = outlet?.fill(message[0]);
    if (parts === undefined) return send.apply(webSocket, message);
    const binary = encoding !== "json";
    for (const [at, part] of parts.entries())
      send.call(webSocket, part, { binary, fin: at === parts.length - 1 });
  };
  webSocket.emit = (event: string | symbol, ...args: unknown[]) => {
    if (event === "message" && isClosing) return false;
    if (event === "message" && encoding !== undefined && !fits(args[0], encoding)) {
      webSocket.close(TOO_BIG, REFUSED);
      return false;
    }
    if (event === "message") {
      isOpen = true;
      const [data, isBinary] = args;
      const bytes = data instanceof Uint8Array ? data.byteLength : 0;
      noteBytes(bytes);
      const handle = () => emit.call(webSocket, event, isBinary === true ? whole(data) : data, isBinary);
      return turns.arrived(handle, bytes);
    }
    // The connection closes by itself, with the code of the error. The adapter of @hono/node-ws 1 throws on Node.
    if (event === "error") return true;
    return emit.call(webSocket, event, ...args);
  };
  return outlet;
}

/**
 * Returns the memory of the message that is arriving: of its whole frames, and of the frame whose end is still to come.
 *
 * @internal exported for a test of messages in small pieces
 */
export function heldByMessage(webSocket: object): number {
  const { _receiver } = webSocket as Pick<WebSocket, "_receiver">;
  if (_receiver === undefined) return 0;
  const { _bufferedBytes, _buffers, _messageLength, _fragments } = _receiver;
  return _bufferedBytes + _messageLength + PIECE_COST_BYTES * (_buffers.length + _fragments.length);
}

/** Sends all messages of one turn of the event loop with one system call, which wakes the client once. */
function gather(webSocket: WebSocket, socket: Duplex): void {
  const { send } = webSocket;
  const { destroy } = socket;
  let isGathering = false;
  const flush = () => {
    if (isGathering) socket.uncork();
    isGathering = false;
    gathering.delete(flush);
  };
  // Messages that were sent before the socket's end leave with it.
  socket.destroy = (error) => {
    flush();
    return destroy.call(socket, error);
  };
  webSocket.send = (...message) => {
    if (!isGathering) {
      isGathering = true;
      gathering.add(flush);
      socket.cork();
      setImmediate(flush);
    }
    send.apply(webSocket, message);
  };
}

/** Returns binary content in a form that the adapter does not copy, if it has a buffer of its own. */
function whole(message: unknown): unknown {
  const isWhole = message instanceof Uint8Array && message.byteLength === message.buffer.byteLength;
  return isWhole ? message.buffer : message;
}

function fits(message: unknown, encoding: Encoding): boolean {
  return !(message instanceof Uint8Array) || valueCounter(encoding, "connection").add(message);
}
