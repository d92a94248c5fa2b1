// @module-tag attack
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { boundWebSockets, heldByMessage } from "../../src/rivet/web-sockets.ts";
import { heldBytes } from "../support/heap.ts";
import { until } from "../support/until.ts";

const FRAGMENTS = 200;
const PIECES = 10_000;

interface Ends {
  socket: Socket;
  webSocket: WebSocket;
}

async function open(): Promise<Ends> {
  boundWebSockets();
  const server: Server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const opened = Promise.withResolvers<WebSocket>();
  server.on("upgrade", (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, opened.resolve),
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  socket.write(
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  await once(socket, "data");
  return { socket, webSocket: await opened.promise };
}

/** A frame of a message, masked with zeros. */
function frame(opcode: number, isLast: boolean, body: string): Buffer {
  const head = [(isLast ? 0x80 : 0) | opcode, 0x80 | body.length, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

const [CONTINUATION, TEXT, PING] = [0, 1, 9];

test("a fragment does not keep what arrived together with it", async () => {
  const { socket, webSocket } = await open();
  const before = heldBytes();
  const message = once(webSocket, "message");
  // Each fragment of one byte comes in front of many pings.
  const pings = Buffer.concat(Array(450).fill(frame(PING, true, "p".repeat(120))));
  let pongs = 0;
  webSocket.on("ping", () => {
    pongs += 1;
  });
  for (let count = 0; count < FRAGMENTS; count++)
    if (!socket.write(Buffer.concat([frame(count === 0 ? TEXT : CONTINUATION, false, "x"), pings])))
      await once(socket, "drain");
  await until(() => pongs === FRAGMENTS * 450);
  // A fragment would keep up to 64 KiB.
  expect(heldBytes() - before).toBeLessThan(FRAGMENTS * 16 * 1024);
  socket.write(frame(CONTINUATION, true, "y"));
  expect(String((await message)[0])).toBe(`${"x".repeat(FRAGMENTS)}y`);
});

test("a message in pieces of one byte counts with what each of them takes", async () => {
  const { socket, webSocket } = await open();
  const before = heldBytes();
  const message = once(webSocket, "message");
  socket.setNoDelay(true);
  const head = Buffer.from([0x81, 0xfe, PIECES >> 8, PIECES & 255, 0, 0, 0, 0]);
  socket.write(head);
  for (let count = 1; count < PIECES; count++) {
    socket.write("x");
    await turn();
  }
  await until(() => heldByMessage(webSocket) > 0 && socket.writableLength === 0);
  await turn();
  // The kernel may have joined some.
  const held = heldBytes() - before;
  expect(heldByMessage(webSocket)).toBeGreaterThan(0.5 * held);
  socket.write("y");
  expect(String((await message)[0])).toBe(`${"x".repeat(PIECES - 1)}y`);
});
