// @module-tag attack
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { limitBacklog, roomOf } from "../../src/rivet/client-backlog.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;

/** Starts a server that answers each request with some MiB at once, and returns its sockets. */
async function start(limits: Parameters<typeof limitBacklog>[1], mib: number) {
  const sockets: Socket[] = [];
  const server = http.createServer((request, response) => {
    sockets.push(request.socket);
    response.end(Buffer.alloc(mib * MIB));
  });
  limitBacklog(server, limits);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return { sockets, ask: (vm: string) => ask(port, vm) };
}

async function ask(port: number, vm: string) {
  const socket = net.connect(port, "127.0.0.1");
  const client = { socket, received: 0, isClosed: false };
  socket.on("error", () => undefined);
  socket.on("close", () => {
    client.isClosed = true;
  });
  await once(socket, "connect");
  socket.write(`GET /gateway/${vm}/connect HTTP/1.1\r\nhost: a\r\n\r\n`);
  return client;
}

type Client = Awaited<ReturnType<typeof ask>>;

/** Reads in small pieces. */
function readSlowly(client: Client, pauseMs: number): void {
  client.socket.on("data", (data) => {
    client.received += data.length;
    client.socket.pause();
    setTimeout(() => client.socket.resume(), pauseMs);
  });
}

test("a client that takes nothing is disconnected, and an idle and a slow one are not", async () => {
  const { sockets, ask } = await start({ stallMs: 400 }, 24);
  const stalled = await ask("a");
  const slow = await ask("a");
  readSlowly(slow, 5);
  const quick = await ask("a");
  quick.socket.resume();
  await until(() => sockets.length === 3);
  await until(() => sockets.some(({ destroyed }) => destroyed));
  stalled.socket.resume();
  await until(() => stalled.isClosed);
  await until(() => slow.received > 24 * MIB);
  expect([slow.isClosed, quick.isClosed]).toEqual([false, false]);
});

test("the clients of one VM that would take the longest to read are disconnected, and no client of another VM", async () => {
  const { sockets, ask } = await start({ vm: 60 * MIB }, 24);
  const other = await ask("b");
  const slow = await ask("a");
  readSlowly(slow, 5);
  await until(() => slow.received > 2 * MIB);
  const stalled = [await ask("a"), await ask("a"), await ask("a")];
  await until(() => sockets.length === 5 && sockets.filter(({ destroyed }) => destroyed).length > 0);
  await until(() => slow.received > 24 * MIB);
  for (const { socket } of [other, ...stalled]) socket.resume();
  await until(() => stalled.some(({ isClosed }) => isClosed));
  expect([slow.isClosed, other.isClosed]).toEqual([false, false]);
});

test("the server's limit disconnects clients of any VM, until the others fit", async () => {
  const { sockets, ask } = await start({ server: 60 * MIB }, 24);
  for (const vm of ["a", "b", "c", "d"]) await ask(vm);
  await until(() => sockets.length === 4);
  await until(() => sockets.filter(({ destroyed }) => !destroyed).length === 2);
});

test("a large result waits until the client reads, one at a time, and gives up when the client leaves", async () => {
  const { sockets, ask } = await start({}, 24);
  const client = await ask("a");
  await until(() => sockets.length === 1);
  const [socket] = sockets as [Socket];
  const room = roomOf(socket);
  expect(room(1000, "kept")).toBeUndefined();
  const order: string[] = [];
  const first = room(2 * MIB, "held")!.then((isOpen) => {
    order.push(`first ${isOpen}`);
    socket.write(Buffer.alloc(24 * MIB));
  });
  const second = room(2 * MIB, "held")!.then((isOpen) => order.push(`second ${isOpen}`));
  client.socket.on("data", (data) => {
    client.received += data.length;
    if (client.received > 30 * MIB) client.socket.pause();
  });
  await first;
  await until(() => client.received > 30 * MIB);
  expect(order).toEqual(["first true"]);
  client.socket.destroy();
  await second;
  expect(order).toEqual(["first true", "second false"]);
});
