// @module-tag slow
// @module-tag attack
import { once } from "node:events";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { encodeMessage } from "../../src/client/rivet/messages.ts";
import { type ProgramServer, startTestServer } from "../support/servers.ts";
import { type WsClient, wsClient } from "../support/ws-client.ts";

const BYTES = 20_000_000;

type RawClient = WsClient & { _socket: Socket };

async function connect({ endpoint }: ProgramServer, actorId: string): Promise<RawClient> {
  const url = `${endpoint.replace("http", "ws")}/gateway/${actorId}/connect`;
  const socket = wsClient(url, ["rivet", "rivet_encoding.bare", "rivet_conn_params.%7B%7D"]) as RawClient;
  socket.on("error", () => undefined);
  await once(socket, "open");
  return socket;
}

function ask(socket: RawClient, id: number, name: string, ...args: unknown[]): void {
  socket.send(encodeMessage("bare", { tag: "ActionRequest", val: { id, name, args } }) as Uint8Array);
}

async function start(): Promise<{ server: ProgramServer; vm: ReturnType<typeof vmOf>; actorId: string }> {
  const server = await startTestServer({ kind: "kernel", process: true });
  const vm = vmOf(server);
  await vm.exec(`head -c ${BYTES} /dev/zero > /tmp/big`);
  await vm.readFile("/tmp/big");
  return { server, vm, actorId: await vm.resolve() };
}

const vmOf = (server: ProgramServer) => server.client().vm.getOrCreate("unread");

/** Watches the server's memory. @returns a function that says by how many MiB it has grown at most */
function growth(server: ProgramServer): () => number {
  const before = server.residentMib();
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, server.residentMib());
  }, 50);
  return () => {
    clearInterval(timer);
    return peak - before;
  };
}

test("results to a connection that is not read wait in the VM, once each", async () => {
  const { server, vm, actorId } = await start();
  const grown = growth(server);
  const socket = await connect(server, actorId);
  socket._socket.pause();
  for (let index = 0; index < 4; index++)
    ask(socket, index, "beginCall", { callId: `c${index}`, action: "readFile", args: ["/tmp/big"] });
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect((await vm.exec("echo alive")).stdout).toBe("alive\n");
  // Three results as they are, and an encoded result with its garbage. It was more than 260.
  expect(grown()).toBeLessThan(200);
  socket._socket.resume();
  let received = 0;
  socket.on("message", (data: Buffer) => {
    received += data.length;
  });
  await expect.poll(() => received, { timeout: 20_000 }).toBeGreaterThan(4 * BYTES);
  socket.terminate();
});

test("40 connections that are not read cost a bounded memory, and other clients and slow ones get their results", async () => {
  const { server, vm, actorId } = await start();
  const grown = growth(server);
  const slow = await connect(server, actorId);
  let received = 0;
  let isClosed = false;
  slow.on("message", (data: Buffer) => {
    received += data.length;
  });
  slow.on("close", () => {
    isClosed = true;
  });
  // 2 MB a second.
  const pace = setInterval(() => {
    slow._socket.resume();
    setTimeout(() => slow._socket.pause(), 2);
  }, 30);
  ask(slow, 0, "readFile", "/tmp/big");
  const sockets: RawClient[] = [];
  for (let index = 0; index < 40; index++) {
    const socket = await connect(server, actorId);
    sockets.push(socket);
    socket._socket.pause();
    for (let id = 0; id < 4; id++) {
      const call = { callId: `c${index}-${id}`, action: "readFile", args: ["/tmp/big"] };
      if (index % 2 === 0) ask(socket, id, "readFile", "/tmp/big");
      else ask(socket, id, "beginCall", call);
    }
    expect((await vm.exec("echo alive")).stdout).toBe("alive\n");
  }
  expect((await vm.readFile("/tmp/big")).byteLength).toBe(BYTES);
  await expect.poll(() => received, { timeout: 60_000 }).toBeGreaterThan(BYTES);
  expect(isClosed).toBe(false);
  clearInterval(pace);
  // All results would be 3 GB.
  expect(grown()).toBeLessThan(900);
  for (const socket of [slow, ...sockets]) socket.terminate();
});
