// @module-tag attack
import { createServer } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { AccessControl } from "../../src/http/access-control.ts";
import { type Admit, HttpGate } from "../../src/http/http-gate.ts";
import type { PreviewGate } from "../../src/http/preview-gate.ts";
import { Strangers } from "../../src/http/strangers.ts";

vi.mock("../../src/http/limits.ts", async (load) => ({
  ...(await load<typeof import("../../src/http/limits.ts")>()),
  MAX_STRANGERS: 30,
  MAX_STRANGERS_PER_ADDRESS: 10,
  STRANGER_IDLE_MS: 6_000,
  MAX_CONNECTIONS_PER_CLIENT: 10,
}));

/** Starts a server with a token behind the gate. */
async function startServer(
  strangers?: Strangers,
  admit?: Admit,
  previews: Pick<PreviewGate, "request" | "upgrade"> = { request: () => false, upgrade: () => false },
): Promise<number> {
  const server = createServer((request, response) => {
    response.write("reached");
    if (request.url !== "/slow") response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const access = new AccessControl({ token: "t", secret: "s", allowedOrigins: [], behindEngine: false });
  new HttpGate(
    admit ?? ((message, request) => access.admitOnce(message, request)),
    previews,
    {},
    {
      ...(strangers && { strangers }),
    },
  ).guard(server);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface Open {
  socket: Socket;
  answer(): string;
  isClosed(): boolean;
}

async function open(port: number, from = "127.0.0.1"): Promise<Open> {
  let answer = "";
  let isClosed = false;
  const socket = net.connect({ port, host: "127.0.0.1", localAddress: from });
  socket.on("data", (data) => {
    answer += data;
  });
  socket
    .on("error", () => undefined)
    .on("close", () => {
      isClosed = true;
    });
  onTestFinished(() => void socket.destroy());
  await new Promise<void>((resolve) =>
    socket.once("connect", () => resolve()).once("close", () => resolve()),
  );
  return { socket, answer: () => answer, isClosed: () => isClosed };
}

const many = (port: number, count: number, from?: string) =>
  Promise.all(Array.from({ length: count }, () => open(port, from)));

const request = (token: string, path = "/actors") =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;

test("an address holds few connections without access, and all addresses together hold a few more", async () => {
  const port = await startServer();
  const first = await many(port, 12);
  await expect.poll(() => first.filter(({ isClosed }) => isClosed()).length).toBe(2);
  expect(first.find(({ isClosed }) => isClosed())?.answer()).toMatch(
    /^HTTP\/1.1 429 .*"limit_exceeded".*MAX_STRANGERS_PER_ADDRESS/s,
  );
  await many(port, 10, "127.0.0.2");
  await many(port, 10, "127.0.0.3");
  const surplus = await open(port, "127.0.0.4");
  await expect.poll(surplus.isClosed).toBe(true);
  expect(surplus.answer()).toContain('"MAX_STRANGERS"');
});

test("the listener for other servers has limits of its own, with room for all requests of a front", async () => {
  const limits = await import("../../src/http/peers/limits.ts");
  expect(limits.MAX_PEER_STRANGERS_PER_ADDRESS).toBeGreaterThanOrEqual(limits.MAX_FORWARDED);
  const [total, perAddress] = [{ MAX_PEER_STRANGERS: 20 }, { MAX_PEER_STRANGERS_PER_ADDRESS: 15 }];
  const port = await startServer(new Strangers({ total, perAddress }));
  const first = await many(port, 16);
  await expect.poll(() => first.filter(({ isClosed }) => isClosed()).length).toBe(1);
  expect(first.find(({ isClosed }) => isClosed())?.answer()).toContain('"MAX_PEER_STRANGERS_PER_ADDRESS"');
  const others = await many(port, 6, "127.0.0.2");
  await expect.poll(() => others.filter(({ isClosed }) => isClosed()).length).toBe(1);
});

test("connections with access do not count, and stay open", async () => {
  const port = await startServer();
  const clients: Open[] = [];
  for (let index = 0; index < 40; index++) {
    const client = await open(port);
    client.socket.write(request("t"));
    await expect.poll(client.answer).toContain("reached");
    clients.push(client);
  }
  expect(clients.some(({ isClosed }) => isClosed())).toBe(false);
});

const ofToken: Admit = async (_message, { header }) => ({
  may: ["read"],
  vms: { keys: [["one"]] },
  tokenId: header("authorization") ?? "",
});

async function ask(port: number, token: string, path = "/actors"): Promise<Open> {
  const client = await open(port);
  client.socket.write(request(token, path));
  await expect.poll(client.answer).toMatch(/reached|limit_exceeded/);
  return client;
}

test("a token's new connection takes the place of its own that is unused for longest", async () => {
  const port = await startServer(undefined, ofToken);
  const other = await ask(port, "other");
  const own: Open[] = [];
  for (let index = 0; index < 10; index++) own.push(await ask(port, "mine"));
  own[0]?.socket.write(request("mine"));
  await expect.poll(() => own[0]?.answer().match(/reached/g)).toHaveLength(2);
  expect((await ask(port, "mine")).answer()).toContain("reached");
  await expect.poll(() => own[1]?.isClosed()).toBe(true);
  expect([other, ...own].filter(({ isClosed }) => isClosed())).toHaveLength(1);
});

test("a token whose connections all have requests under way is refused one more, and others are not", async () => {
  const port = await startServer(undefined, ofToken);
  const own: Open[] = [];
  for (let index = 0; index < 10; index++) own.push(await ask(port, "mine", "/slow"));
  const surplus = await ask(port, "mine");
  expect(surplus.answer()).toMatch(/^HTTP\/1.1 429 .*"limit_exceeded".*MAX_CONNECTIONS_PER_CLIENT/s);
  await expect.poll(surplus.isClosed).toBe(true);
  expect((await ask(port, "other")).answer()).toContain("reached");
  expect(own.some(({ isClosed }) => isClosed())).toBe(false);
  own[0]?.socket.destroy();
  await expect.poll(async () => (await ask(port, "mine")).answer()).toContain("reached");
});

const UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

test.each([
  ["a request that is being decided", "/undecided", ""],
  ["a stream of a preview", "/preview", ""],
  ["a WebSocket of a preview", "/preview", UPGRADE],
])(
  "%s is not cut when its connection has carried a request of a token with many connections",
  async (...[, path, headers]) => {
    const over = Promise.withResolvers<void>();
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const admit: Admit = async (message, { path, ...more }) => {
      if (path === "/undecided") {
        arrive();
        await over.promise;
      }
      return ofToken(message, { path, ...more });
    };
    const port = await startServer(undefined, admit, {
      request({ url }, response, stranger) {
        if (url !== "/preview") return false;
        stranger.admitDuring(over.promise);
        response.write("first");
        void over.promise.then(() => response.end("last"));
        arrive();
        return true;
      },
      upgrade(_request, socket, _head, stranger) {
        stranger.admitDuring(over.promise);
        socket.on("error", () => undefined).write(`HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}\r\n`);
        void over.promise.then(() => socket.end("last"));
        arrive();
        return true;
      },
    });
    const own: Open[] = [];
    for (let index = 0; index < 10; index++) own.push(await ask(port, "mine"));
    own[0]?.socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mine\r\n${headers}\r\n`);
    await arrived;
    own.push(await ask(port, "mine"));
    await expect.poll(() => own[1]?.isClosed()).toBe(true);
    over.resolve();
    await expect.poll(() => own[0]?.answer()).toMatch(/reached.*(reached|last)/s);
  },
);

test("a connection whose preview has ended makes room again for its token", async () => {
  const over = Promise.withResolvers<void>();
  const port = await startServer(undefined, ofToken, {
    request({ url }, response, stranger) {
      if (url !== "/preview") return false;
      stranger.admitDuring(over.promise);
      response.end("last");
      response.once("close", over.resolve);
      return true;
    },
    upgrade: () => false,
  });
  const own: Open[] = [];
  for (let index = 0; index < 10; index++) own.push(await ask(port, "mine"));
  own[0]?.socket.write(request("mine", "/preview"));
  await over.promise;
  own.push(await ask(port, "mine"));
  await expect.poll(() => own.filter(({ isClosed }) => isClosed())).toEqual([own[0]]);
});

test("a connection that sends its head slowly, or a wrong token, is cut and makes room", async () => {
  const port = await startServer();
  const slow = await many(port, 10);
  const timer = setInterval(() => {
    for (const { socket } of slow) socket.write("G");
  }, 200);
  onTestFinished(() => clearInterval(timer));
  await expect.poll(() => slow.every(({ isClosed }) => isClosed()), { timeout: 20_000 }).toBe(true);
  const stranger = await open(port);
  stranger.socket.write(request("wrong"));
  await expect.poll(stranger.isClosed).toBe(true);
  expect(stranger.answer()).toContain("401");
  const client = await open(port);
  client.socket.write(request("t"));
  await expect.poll(client.answer).toContain("reached");
});

test("the kernel asks each client from time to time whether it is still there", async () => {
  const asked = vi.spyOn(net.Socket.prototype, "setKeepAlive");
  onTestFinished(() => asked.mockRestore());
  const port = await startServer();
  await open(port);
  await expect.poll(() => asked.mock.calls).toEqual([[true, 60_000]]);
});
