import { type Server, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";

/** Statuses of requests that cannot be read, as Node answers them by itself. */
const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** First bytes of a client that begins with HTTP/2. */
const PREFACE = "PRI * HTTP/2.0";

const GOAWAY = 7;
const SETTINGS = 4;
const HTTP_1_1_REQUIRED = 13;

const TEXT = "agent-vm speaks HTTP/1.1. Use tunnel() for HTTP/2 and gRPC: docs/tunnels.md";

/** Refuses clients that begin with HTTP/2 in their own protocol, so that they show the reason. */
export function refuseHttp2(server: Server): void {
  server.on("clientError", (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket) => {
    if (!socket.writable) return void socket.destroy();
    if (error.rawPacket?.toString("latin1").startsWith(PREFACE)) return void socket.end(goAway());
    const status = STATUS[error.code ?? ""] ?? 400;
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
    socket.destroy(error);
  });
}

/** A frame of empty settings, with which a server must begin, and the end of the connection. */
function goAway(): Buffer {
  const code = Buffer.alloc(8);
  code.writeUInt32BE(HTTP_1_1_REQUIRED, 4);
  return Buffer.concat([
    frame(SETTINGS, Buffer.alloc(0)),
    frame(GOAWAY, Buffer.concat([code, Buffer.from(TEXT)])),
  ]);
}

function frame(kind: number, body: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.byteLength, 0, 3);
  head[3] = kind;
  return Buffer.concat([head, body]);
}
