import { once } from "node:events";
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "../../src/client/index.ts";
import type { VmClient } from "../../src/client/types.ts";
import type { registry } from "../../src/server.ts";
import { type ServerProcess, startTestServer } from "../support/servers.ts";
import { closed, next } from "../support/socket-events.ts";
import { startWebSocketServer } from "../support/vm-servers.ts";
import { wsClient } from "../support/ws-client.ts";

let server: ServerProcess;
let client: VmClient<typeof registry>;
let vm: ReturnType<typeof client.vm.getOrCreate>;
let base: string;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", process: true });
  client = createClient<typeof registry>({ endpoint: server.endpoint });
  vm = client.vm.getOrCreate("sockets");
  await startWebSocketServer(vm, 4000);
  base = (await vm.createSignedPreviewUrl(4000)).pathUrl.replace("http", "ws");
});
afterAll(async () => {
  await client.dispose();
  await server.stop("SIGTERM");
});

async function open(url = base, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve, { once: true });
    socket.addEventListener("error", reject, { once: true });
  });
  return socket;
}

test("passes text, binary, path, subprotocol, ping and pong", async () => {
  const socket = await open(`${base}chat?room=1`, ["first", "second"]);
  expect(socket.protocol).toBe("second");
  socket.send("protocol");
  expect(await next(socket)).toBe("second /chat?room=1");
  socket.send("hällo");
  expect(await next(socket)).toBe("hällo");
  socket.send(new Uint8Array([0, 1, 255]));
  expect(new Uint8Array((await next(socket)) as ArrayBuffer)).toEqual(new Uint8Array([0, 1, 255]));
  socket.send("ping");
  expect(await next(socket)).toBe("pong x");
  socket.close();
  await closed(socket);
});

test("passes close codes of both sides", async () => {
  const socket = await open();
  socket.send("close 4321 because");
  expect(await closed(socket)).toEqual([4321, "because"]);
  const other = await open();
  const end = closed(other);
  other.close(4000, "done");
  expect(await end).toEqual([4000, "done"]);
});

test("passes a client's ping, which the app answers with the same data", async () => {
  const socket = wsClient(base);
  await once(socket, "open");
  const pong = once(socket, "pong");
  socket.ping("are you there");
  expect(String((await pong)[0])).toBe("are you there");
  const close = once(socket, "close");
  socket.close();
  // 1005 means that the close frame had no code.
  expect((await close)[0]).toBe(1005);
});

test("passes messages in pieces, empty messages, and a thousand messages in order", async () => {
  const socket = wsClient(base);
  await once(socket, "open");
  const messages: string[] = [];
  const all = new Promise<void>((resolve) =>
    socket.on("message", (data: Buffer) => {
      messages.push(String(data));
      if (messages.length === 1002) resolve();
    }),
  );
  socket.send("in ", { fin: false });
  socket.send("pieces", { fin: true });
  socket.send("");
  for (let index = 0; index < 1000; index++) socket.send(`message-${index}`);
  await all;
  expect(messages).toEqual(["in pieces", "", ...Array.from({ length: 1000 }, (_, n) => `message-${n}`)]);
  socket.close();
});

test("an app that does not read slows the browser down and loses nothing", { tags: ["slow"] }, async () => {
  const before = server.residentMib();
  const socket = wsClient(base);
  await once(socket, "open");
  socket.send("pause");
  const piece = Buffer.alloc(1024 * 1024, 7);
  for (let count = 0; count < 100; count++) socket.send(piece);
  // All buffers in between are full when the browser's backlog no longer changes.
  const left: number[] = [];
  await expect
    .poll(() => left.push(socket.bufferedAmount) > 5 && new Set(left.slice(-5)).size === 1, {
      interval: 100,
    })
    .toBe(true);
  expect(socket.bufferedAmount).toBeGreaterThan(50 * 1024 * 1024);
  expect(server.residentMib() - before).toBeLessThan(100);
  let echoed = 0;
  const done = new Promise<void>((resolve) =>
    socket.on("message", (data: Buffer) => {
      echoed += data.length;
      if (echoed === 100 * 1024 * 1024) resolve();
    }),
  );
  const http = base.replace("ws", "http");
  const already = Number(await (await fetch(`${http}received`)).text());
  await fetch(`${http}resume`);
  await done;
  expect(Number(await (await fetch(`${http}received`)).text()) - already).toBe(100 * 1024 * 1024);
  socket.close();
});

test("passes a message of 16 MiB, and serves twenty sockets at once", { tags: ["slow"] }, async () => {
  const socket = await open();
  const large = new Uint8Array(16 * 1024 * 1024).fill(7);
  socket.send(large);
  expect(((await next(socket)) as ArrayBuffer).byteLength).toBe(large.byteLength);
  socket.close();
  const all = await Promise.all(Array.from({ length: 20 }, () => open()));
  const answers = all.map(next);
  for (const [index, one] of all.entries()) one.send(`message-${index}`);
  expect(await Promise.all(answers)).toEqual(all.map((_, index) => `message-${index}`));
  for (const one of all) one.close();
});

test("a browser that does not read does not fill the server's memory", { tags: ["slow"] }, async () => {
  const before = server.residentMib();
  const { pathname } = new URL(base);
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();
  // Frames of 1 MiB, masked with zeros, that the app would echo.
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
  const frame = Buffer.concat([head, Buffer.alloc(1024 * 1024)]);
  for (let count = 0; count < 200; count++) {
    if (!socket.write(frame)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  // The app has received every frame, and its answers wait in the app.
  expect(server.residentMib() - before).toBeLessThan(100);
  socket.destroy();
});

test("passes the app's refusal of an upgrade, and refuses a wrong token and a port without a listener", async () => {
  const statusOf = async (path: string) => {
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let answer = "";
    for await (const data of socket) answer += data;
    return answer.slice(9, 12);
  };
  const { pathname } = new URL(base);
  expect(await statusOf(`${pathname}refused`)).toBe("401");
  expect(await statusOf(pathname.replace(/.{4}\/$/, "AAAA/"))).toBe("403");
  const nobody = new URL((await vm.createSignedPreviewUrl(9)).pathUrl).pathname;
  expect(await statusOf(nobody)).toBe("502");
});

test("closes a WebSocket if its token is revoked or its app ends", async () => {
  const preview = await vm.createSignedPreviewUrl(4000);
  const socket = await open(preview.url.replace("http", "ws"));
  const end = closed(socket);
  await vm.expireSignedPreviewUrl(preview.token);
  expect((await end)[0]).toBe(1006);
  const other = await open();
  const otherEnd = closed(other);
  await vm.exec("pkill -f ws-server.cjs");
  expect((await otherEnd)[0]).toBe(1006);
});
