import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createSocketServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { relay } from "../../../../src/runtime/network/requests/relay.ts";

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    (server as Partial<{ closeAllConnections(): void }>).closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}

/** Starts a server that relays every request to another one. @returns its port */
async function relayTo(port: number): Promise<number> {
  return await listen(
    createServer((incoming: IncomingMessage, response: ServerResponse) =>
      relay(incoming, response, request({ port, host: "127.0.0.1", method: incoming.method }), {
        framing: {},
        headersOf: (raw) => [...raw],
        fail: () => response.destroy(),
      }),
    ),
  );
}

test("a head arrives before the body that follows later, and then the body", async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const port = await relayTo(
    await listen(
      createServer(async (_request, response) => {
        response.flushHeaders();
        await go;
        response.end("late");
      }),
    ),
  );
  const [answer] = (await once(get({ port }), "response")) as [IncomingMessage];
  resolve();
  expect(Buffer.concat(await answer.toArray()).toString()).toBe("late");
});

test("a server that sends a body to HEAD still answers with its head", async () => {
  const port = await relayTo(
    await listen(
      createSocketServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"));
      }),
    ),
  );
  const asked = request({ port, method: "HEAD" }).end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  answer.resume();
  expect(answer.statusCode).toBe(200);
});

test("a body that breaks off cuts the response", async () => {
  const port = await relayTo(
    await listen(
      createSocketServer((socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"));
      }),
    ),
  );
  const [answer] = (await once(get({ port }), "response")) as [IncomingMessage];
  await expect(answer.toArray()).rejects.toThrow("aborted");
});

test("a receiver that leaves a body unread ends the connection to its server", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const port = await relayTo(
    await listen(
      createServer((_request, response) => {
        response.once("close", resolve);
        response.write(Buffer.alloc(64 * 1024 * 1024));
      }),
    ),
  );
  const receiver = connect(port, "127.0.0.1");
  receiver.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await once(receiver, "readable");
  receiver.destroy();
  await closed;
});

/** Reads with a small buffer, after a pause in which the response has filled it. */
const SLOW_READER = `
import socket, sys, time
reader = socket.socket()
reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
reader.connect(("127.0.0.1", int(sys.argv[1])))
reader.sendall(b"GET / HTTP/1.1\\r\\nhost: a\\r\\nconnection: close\\r\\n\\r\\n")
time.sleep(1)
reader.settimeout(20)
total = 0
while piece := reader.recv(4096):
    total += piece.count(b"x")
print(total)
`;

test("a slow receiver gets all pieces of a body without a length", async () => {
  const pieces = 20;
  const piece = Buffer.alloc(16 * 1024, "x");
  const port = await relayTo(
    await listen(
      createSocketServer((socket) => {
        socket.on("error", () => undefined);
        const framed = [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")];
        const body = Array.from({ length: pieces }, () => framed).flat();
        const head = Buffer.from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        socket.once("data", () => socket.end(Buffer.concat([head, ...body, Buffer.from("0\r\n\r\n")])));
      }),
    ),
  );
  const reader = spawn("python3", ["-c", SLOW_READER, String(port)]);
  expect(Number(await text(reader.stdout))).toBe(pieces * piece.length);
});
