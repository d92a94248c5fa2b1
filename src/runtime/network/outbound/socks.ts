import type { Socket } from "node:net";
import { anyEvent } from "../../../base/any-event.ts";
import type { Destination } from "./destination.ts";

/** First byte of SOCKS 5 (RFC 1928). */
export const SOCKS_VERSION = 5;

const NO_AUTHENTICATION = 0;
const CONNECT = 1;
const [IPV4, NAME, IPV6] = [1, 3, 4];

/** Reply codes of the server. */
export const SOCKS_REPLY = { ok: 0, denied: 2, unreachable: 4, refused: 5, command: 7, address: 8 } as const;

/** Answers the greeting and reads the destination. Returns `undefined` if it has refused the client. */
export async function readSocksRequest(socket: Socket): Promise<Destination | undefined> {
  const [, methods = 0] = await take(socket, 2);
  const offered = await take(socket, methods);
  if (!offered.includes(NO_AUTHENTICATION)) {
    socket.end(Buffer.from([SOCKS_VERSION, 0xff]));
    return undefined;
  }
  socket.write(Buffer.from([SOCKS_VERSION, NO_AUTHENTICATION]));
  const [version, command, , kind] = await take(socket, 4);
  if (version !== SOCKS_VERSION || command !== CONNECT) return refuse(socket, SOCKS_REPLY.command);
  const host = await readHost(socket, kind ?? 0);
  if (host === undefined) return refuse(socket, SOCKS_REPLY.address);
  return { host, port: (await take(socket, 2)).readUInt16BE() };
}

/** @param reply one of SOCKS_REPLY */
export function socksReply(reply: number): Buffer {
  return Buffer.from([SOCKS_VERSION, reply, 0, IPV4 as number, 0, 0, 0, 0, 0, 0]);
}

function refuse(socket: Socket, reply: number): undefined {
  socket.end(socksReply(reply));
  return undefined;
}

async function readHost(socket: Socket, kind: number): Promise<string | undefined> {
  if (kind === IPV4) return (await take(socket, 4)).join(".");
  if (kind === NAME) return (await take(socket, (await take(socket, 1))[0] ?? 0)).toString("latin1");
  if (kind !== IPV6) return undefined;
  const bytes = await take(socket, 16);
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return words.join(":");
}

/** Reads exactly `size` bytes; later bytes stay in the socket. */
async function take(socket: Socket, size: number): Promise<Buffer> {
  if (size === 0) return Buffer.alloc(0);
  for (;;) {
    const data = socket.read(size) as Buffer | null;
    if (data !== null && data.length === size) return data;
    if (socket.readableEnded || socket.destroyed || data !== null)
      throw new Error("the client closed the connection");
    await anyEvent(socket, ["readable", "end", "close"]);
  }
}
