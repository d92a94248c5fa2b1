import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { relayUpgrade } from "../../../../src/runtime/network/requests/relay-upgrade.ts";

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

const HEADERS = { connection: "Upgrade", upgrade: "websocket" };

/** Starts a server that relays every upgrade to another one. @returns its port, and the errors of requests without an answer */
async function relayTo(port: number, headersOf = (raw: readonly string[]) => raw) {
  const failures: string[] = [];
  const server = createServer();
  server.on("upgrade", (_request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => undefined);
    const outgoing = request({ port, host: "127.0.0.1", headers: HEADERS });
    relayUpgrade(socket, head, outgoing, {
      headersOf,
      fail(error) {
        failures.push(error.message);
        socket.end("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      },
    });
  });
  return { server, port: await listen(server), failures };
}

/** Starts a server that answers each request with the same bytes. */
function answering(bytes: string, then: (socket: Socket) => void): Promise<number> {
  return listen(
    createSocketServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.write(bytes, () => then(socket)));
    }),
  );
}

test("bytes pass both ways after the upgrade, and bytes that came with its head", async () => {
  const inner = await answering(
    `HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst`,
    (socket) => socket.on("data", (bytes) => socket.end(bytes)),
  );
  const { port } = await relayTo(inner);
  const [, socket, first] = (await once(request({ port, headers: HEADERS }).end(), "upgrade")) as [
    IncomingMessage,
    Socket,
    Buffer,
  ];
  socket.write("echo");
  expect(Buffer.concat([first, ...(await socket.toArray())]).toString()).toBe("firstecho");
});

test("a server that resets the connection in its answer cuts the client, which gets no second answer", async () => {
  const { promise: reset, resolve } = Promise.withResolvers<() => void>();
  const inner = await answering("HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\nhalf", (socket) =>
    resolve(() => socket.resetAndDestroy()),
  );
  const { port, failures } = await relayTo(inner);
  const [answer] = (await once(request({ port, headers: HEADERS }).end(), "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  answer.on("data", (piece: Buffer) => pieces.push(piece));
  const cut = once(answer, "error");
  (await reset)();
  await cut;
  expect([answer.statusCode, Buffer.concat(pieces).toString(), failures]).toEqual([400, "half", []]);
});

test("a refused upgrade adds few listeners to the client's connection, which has nearly as many as Node allows", async () => {
  const inner = await answering("HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nnope", () => undefined);
  const { server, port } = await relayTo(inner);
  const connected = once(server, "connection");
  const outgoing = request({ port, headers: HEADERS }).end();
  const [socket] = (await connected) as [Socket];
  const before = socket.listenerCount("close");
  const relayed = once(socket, "pipe").then(() => socket.listenerCount("close"));
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  expect(Buffer.concat(await answer.toArray()).toString()).toBe("nope");
  expect(await relayed).toBeLessThanOrEqual(before + 2);
});

test("an answer whose headers are refused becomes the answer of the relay", async () => {
  const inner = await answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", () => undefined);
  const { port, failures } = await relayTo(inner, () => {
    throw new Error("no such header");
  });
  const [answer] = (await once(request({ port, headers: HEADERS }).end(), "response")) as [IncomingMessage];
  answer.resume();
  expect([answer.statusCode, failures]).toEqual([502, ["no such header"]]);
});

test("headers of an answer keep their bytes", async () => {
  const bytes = Buffer.from(
    "HTTP/1.1 101 G\u00fc\r\nX-Name: \u00e9\u00ff\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "latin1",
  );
  const inner = await listen(
    createSocketServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(bytes));
    }),
  );
  const { port } = await relayTo(inner);
  const [answer] = (await once(request({ port, headers: HEADERS }).end(), "upgrade")) as [IncomingMessage];
  expect([answer.statusMessage, answer.headers["x-name"]]).toEqual(["G\u00fc", "\u00e9\u00ff"]);
});
