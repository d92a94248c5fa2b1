// @module-tag attack
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import https from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import tls from "node:tls";
import { expect, onTestFinished, test, vi } from "vitest";
import { MIB } from "../../src/api/units.ts";
import { countUnended, cutConnections, limitBacklog, noteBytes } from "../../src/rivet/client-backlog.ts";
import { makeCertificate } from "../support/certificate.ts";

/** Bytes that the server holds of a client, as a body without its end. */
interface Held {
  bytes: number;
  /** How often the bytes were counted. */
  asked: number;
}

async function listen(server: Server): Promise<number> {
  limitBacklog(server);
  await once(server.listen(0, "0.0.0.0"), "listening");
  onTestFinished(async () => {
    cutConnections(server);
    server.close();
    await once(server, "close");
  });
  return (server.address() as AddressInfo).port;
}

/** Starts a server that counts as held what a test says, by the name in the path. */
async function startHolder(server: Server = createServer()) {
  const held = new Map<string, Held>();
  server.on("request", (request, response) => {
    const counted: Held = { bytes: 0, asked: 0 };
    held.set(request.url ?? "", counted);
    countUnended(request.socket, () => {
      counted.asked += 1;
      return counted.bytes;
    });
    response.write("held");
  });
  return { held, port: await listen(server) };
}

/** Sends a request whose answer has no end. @returns the client's socket, when the server has the request */
async function hold(socket: Socket, name: string): Promise<Socket> {
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.write(`GET ${name} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await once(socket, "data");
  return socket.resume();
}

/** Makes the server count what it holds now. */
const checkNow = () => noteBytes(64 * MIB);

async function openTls(server: https.Server, cert: string): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({ port, host: "127.0.0.1", ca: cert, servername: "localhost" });
  await once(socket, "secureConnect");
  return socket;
}

test("over TLS a client that reads nothing is cut", async () => {
  const certificate = await makeCertificate("localhost");
  const server = https.createServer(certificate, (_request, response) => {
    const piece = Buffer.alloc(MIB);
    for (let count = 0; count < 150; count++) response.write(piece);
  });
  await listen(server);
  const socket = await openTls(server, certificate.cert);
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined).pause();
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const [request] = await once(server, "request");
  await once(request.socket, "close");
});

test("over TLS bodies without an end are bounded, and a server that closes cuts all connections", async () => {
  const certificate = await makeCertificate("localhost");
  const server = https.createServer(certificate);
  const { held } = await startHolder(server);
  const attacker = await hold(await openTls(server, certificate.cert), "/attacker");
  const other = await hold(await openTls(server, certificate.cert), "/other");
  (held.get("/attacker") as Held).bytes = 300 * MIB;
  await once(attacker, "close");
  expect(other.destroyed).toBe(false);
  cutConnections(server);
  await once(other, "close");
});

test("connections whose bytes stand still are cut before an upload that goes on, and a light address keeps its own", async () => {
  const passed = vi.spyOn(performance, "now").mockReturnValue(0);
  onTestFinished(() => passed.mockRestore());
  const { held, port } = await startHolder();
  const names = Array.from({ length: 10 }, (_, index) => `/${index}`);
  const attackers = await Promise.all(names.map((name) => hold(connect(port, "127.0.0.1"), name)));
  const honest = await hold(connect(port, "127.0.0.1"), "/honest");
  const light = await hold(connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" }), "/light");
  const set = (name: string, mib: number) => {
    (held.get(name) as Held).bytes = mib * MIB;
  };
  for (const name of names) set(name, 20);
  set("/light", 40);
  checkNow();
  passed.mockReturnValue(5_000);
  // Behind a proxy an honest client has the address of the attacker.
  set("/honest", 30);
  checkNow();
  await expect.poll(() => attackers.filter(({ destroyed }) => destroyed).length).toBe(4);
  expect([honest.destroyed, light.destroyed]).toEqual([false, false]);
});

test("a download that goes on with as many bytes waiting is cut after connections that read nothing", async () => {
  const passed = vi.spyOn(performance, "now").mockReturnValue(0);
  onTestFinished(() => passed.mockRestore());
  const waiting: number[] = [];
  const [downloads, floods]: [Socket[], Socket[]] = [[], []];
  const server = createServer((request, response) => {
    if (request.url === "/flood") {
      floods.push(request.socket);
      return void response.write(Buffer.alloc(30 * MIB));
    }
    downloads.push(request.socket);
    const piece = Buffer.alloc(8 * MIB);
    const send = () => {
      response.write(piece);
      waiting.push(request.socket.writableLength);
      response.once("drain", send);
    };
    send();
  });
  const port = await listen(server);
  const open = (path: string) => {
    const socket = connect(port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined).pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  };
  const client = open("/download");
  await expect.poll(() => waiting.length).toBe(1);
  for (const seconds of [10, 20, 30]) {
    // The server may also check by itself meanwhile.
    passed.mockReturnValue(seconds * 1000);
    const pieces = waiting.length;
    client.resume();
    await expect.poll(() => waiting.length).toBeGreaterThan(pieces);
    client.pause();
    checkNow();
  }
  for (let count = 1; count <= 10; count++) {
    open("/flood");
    await expect.poll(() => floods.length).toBe(count);
  }
  checkNow();
  await expect.poll(() => floods.some(({ destroyed }) => destroyed)).toBe(true);
  expect(downloads.map(({ destroyed }) => destroyed)).toEqual([false]);
});

test("counts each connection a few times to cut many, and leaves room for a while", async () => {
  const { held, port } = await startHolder();
  const names = Array.from({ length: 60 }, (_, index) => `/${index}`);
  const sockets = await Promise.all(names.map((name) => hold(connect(port, "127.0.0.1"), name)));
  for (const counted of held.values()) Object.assign(counted, { bytes: 6 * MIB, asked: 0 });
  checkNow();
  expect(Math.max(...[...held.values()].map(({ asked }) => asked))).toBeLessThanOrEqual(2);
  await expect.poll(() => sockets.filter(({ destroyed }) => destroyed).length).toBe(28);
});
