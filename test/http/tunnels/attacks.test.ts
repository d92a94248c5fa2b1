// @module-tag attack
import { once } from "node:events";
import { createRequire } from "node:module";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { encodeCredit, encodeMuxFrame, FRAME, MAX_DATA_BYTES } from "../../../src/base/mux/frames.ts";
import type { VmHandle } from "../../../src/client/types.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";
import { connectTo, readAll, TCP_SERVER } from "../../support/tcp.ts";

vi.mock("../../../src/http/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/limits.ts")>()),
  MAX_TUNNELS_PER_VM: 4,
  MAX_TUNNEL_CONNECTIONS: 8,
  MAX_TUNNEL_BYTES_PER_VM: 1024 * 1024,
}));

interface RawSocket extends NodeJS.EventEmitter {
  send(data: Uint8Array | string): void;
  terminate(): void;
  pause(): void;
  readyState: number;
}
const { WebSocket: Raw } = createRequire(import.meta.url)("ws") as {
  WebSocket: new (url: string) => RawSocket;
};

let server: TestServer;
let vm: VmHandle;
let url: string;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel" });
  vm = server.client().vm.getOrCreate("target");
  await vm.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
  await vm.spawn("node", ["/tmp/tcp-server.cjs", "4000"]);
  await vm.waitForPort(4000);
  url = `${server.endpoint.replace("http", "ws")}/gateway/${await vm.resolve()}/tunnel`;
});
afterAll(() => server.stop());

const CLOSED = 3;

interface Answer {
  kind: number;
  id: number;
  body: string;
}

/** Opens a tunnel as a hostile client. The server may still count a tunnel that has just closed. */
async function raw() {
  for (;;) {
    const opened = await attempt();
    if (opened.answers[0]?.kind === FRAME.opened) return opened;
    await opened.closed;
  }
}

async function attempt() {
  const socket = new Raw(url);
  onTestFinished(async () => {
    const closed = once(socket, "close");
    if (socket.readyState === CLOSED) return;
    socket.terminate();
    await closed;
    // The server counts the tunnel until it has seen the end.
    await expect
      .poll(() =>
        vm
          .tunnel({ port: 4000 })
          .then((tunnel) => tunnel.close())
          .then(
            () => true,
            () => false,
          ),
      )
      .toBe(true);
  });
  const answers: Answer[] = [];
  socket.on("error", () => undefined);
  socket.on("message", (message: Buffer) => {
    answers.push({
      kind: message[0] as number,
      id: message.readUInt32BE(1),
      body: message.subarray(5).toString(),
    });
  });
  const closed = once(socket, "close").then(([code, reason]) => [code, String(reason)]);
  await expect.poll(() => answers.length).toBeGreaterThan(0);
  const open = (id: number, what: unknown) =>
    socket.send(encodeMuxFrame(FRAME.open, id, Buffer.from(JSON.stringify(what))));
  const answer = async (kind: number, id: number) => {
    await expect.poll(() => answers.find((one) => one.kind === kind && one.id === id)).toBeDefined();
    return answers.find((one) => one.kind === kind && one.id === id) as Answer;
  };
  return { socket, answers, closed, open, answer };
}

const works = async () => {
  await using tunnel = await vm.tunnel({ port: 4000 });
  const socket = await connectTo(tunnel);
  socket.end("echo\nfine");
  return String(await readAll(socket));
};

test.for<[title: string, messages: (Uint8Array | string)[]]>([
  ["text", ["hello"]],
  ["a frame without an end", [new Uint8Array(3)]],
  ["bytes for a stream that is not open", [encodeMuxFrame(FRAME.data, 5, new Uint8Array(1))]],
  ["credit for a stream that is not open", [encodeCredit(7, 1)]],
  ["a stream of the server's numbers", [encodeMuxFrame(FRAME.open, 4, Buffer.from("{}"))]],
  ["a message that is too large", [encodeMuxFrame(FRAME.data, 1, new Uint8Array(MAX_DATA_BYTES + 1))]],
])("a client that sends %s is cut off, and others are served", async ([, messages]) => {
  const { socket, closed } = await raw();
  for (const message of messages) socket.send(message);
  expect([1008, 1009]).toContain((await closed)[0]);
  expect(await works()).toBe("fine");
});

test.for<[title: string, what: unknown]>([
  ["a port that is a text", { port: "80" }],
  ["a port out of range", { port: 65_536 }],
  ["an address", { port: 80, host: "10.0.0.1" }],
  ["nothing", {}],
  ["a relative path", { socketPath: "x" }],
  ["a path with dots", { socketPath: "/tmp/../../run/x" }],
  ["an abstract name", { socketPath: "\0agentos/host" }],
  ["the server's machine", { offer: { host: "host.agent-vm", port: 80 } }],
  ["a name of the internet", { offer: { host: "example.com", port: 80 } }],
  ["a name below another", { offer: { host: "a.b.agent-vm", port: 80 } }],
])("refuses %s", async ([, what]) => {
  const { open, answer } = await raw();
  open(1, what);
  expect(JSON.parse((await answer(FRAME.reset, 1)).body).code).toBe("invalid_argument");
});

test("reaches no port of the host and no other VM", async () => {
  const other = server.client().vm.getOrCreate("bystander");
  await other.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
  await other.spawn("node", ["/tmp/tcp-server.cjs", "4100"]);
  await other.waitForPort(4100);
  for (const port of [server.port, 4100]) {
    const { open, answer } = await raw();
    open(1, { port });
    expect(JSON.parse((await answer(FRAME.reset, 1)).body).code).toBe("ECONNREFUSED");
  }
});

test("bounds the connections of a tunnel, also if the client resets them at once", async () => {
  const { open, answers, socket } = await raw();
  for (let id = 1; id < 40; id += 2) open(id, { port: 4000 });
  await expect.poll(() => answers.filter(({ kind }) => kind === FRAME.opened).length).toBe(1 + 8);
  const refused = () => answers.filter(({ kind }) => kind === FRAME.reset);
  await expect.poll(() => refused().length).toBe(12);
  expect(refused()[0]?.body).toContain("MAX_TUNNEL_CONNECTIONS");
  for (let id = 101; id < 2101; id += 2) {
    open(id, { port: 4000 });
    socket.send(encodeMuxFrame(FRAME.reset, id));
  }
  expect(await works()).toBe("fine");
});

test("bounds the tunnels to a VM", async () => {
  const all = [await raw(), await raw(), await raw(), await raw()];
  await expect(vm.tunnel({ port: 4000 })).rejects.toMatchObject({ code: "limit_exceeded" });
  all[0]?.socket.terminate();
  await expect.poll(() => works().catch(() => "full")).toBe("fine");
});

test("bounds the bytes that wait for programs that do not read, and cuts no connection of another tunnel", async () => {
  const { open, answer, answers, socket } = await raw();
  const other = await raw();
  other.open(1, { port: 4000 });
  await other.answer(FRAME.opened, 1);
  const piece = new Uint8Array(MAX_DATA_BYTES);
  for (let id = 1; id < 16; id += 2) {
    open(id, { port: 4000 });
    await answer(FRAME.opened, id);
    socket.send(encodeMuxFrame(FRAME.data, id, Buffer.from("stall\n")));
  }
  // More than the kernel keeps for each connection: each stream sends what it has credit for.
  const credit = new Map<number, number>();
  const refused = () => answers.filter(({ kind }) => kind === FRAME.reset);
  for (let round = 0; round < 2_000 && refused().length === 0; round++) {
    const granted = new Map<number, number>();
    for (const { kind, id } of answers)
      if (kind === FRAME.credit) granted.set(id, (granted.get(id) ?? 0) + 64 * 1024);
    for (let id = 1; id < 16; id += 2) {
      const room = 256 * 1024 - 6 + (granted.get(id) ?? 0) - (credit.get(id) ?? 0);
      if (room < piece.length || answers.some((one) => one.kind === FRAME.reset && one.id === id)) continue;
      credit.set(id, (credit.get(id) ?? 0) + piece.length);
      socket.send(encodeMuxFrame(FRAME.data, id, piece));
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(refused()[0]?.body).toContain("MAX_TUNNEL_BYTES_PER_VM");
  for (let count = 0; count < 20; count++) {
    other.socket.send(encodeMuxFrame(FRAME.data, 1, piece.subarray(0, 8 * 1024)));
    expect(await works()).toBe("fine");
  }
  expect(other.answers.filter(({ kind }) => kind === FRAME.reset)).toEqual([]);
  other.socket.terminate();
  // The VM's other tunnels have room again when the hostile one has gone.
  socket.terminate();
  await expect.poll(() => works().catch(() => "full")).toBe("fine");
});

test("a client that reads nothing slows the program down and fills no memory", async () => {
  const { open, answer, socket } = await raw();
  for (let id = 1; id < 16; id += 2) {
    open(id, { port: 4000 });
    await answer(FRAME.opened, id);
  }
  socket.pause();
  const before = process.memoryUsage().rss;
  for (let id = 1; id < 16; id += 2)
    socket.send(encodeMuxFrame(FRAME.data, id, Buffer.from(`send ${100 * 1024 * 1024}\n`)));
  expect(await works()).toBe("fine");
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
});
