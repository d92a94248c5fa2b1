// @module-tag any-user
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AgentVmError } from "../../src/api/errors.ts";
import type { VmHandle } from "../../src/client/types.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { closed, connectTo, readAll, readSome, sha256, TCP_SERVER } from "../support/tcp.ts";

let server: TestServer;
let vm: VmHandle;
const SOCKET = "/tmp/demo.sock";

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel" });
  vm = server.client().vm.getOrCreate("tunnels");
  await vm.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
  await vm.spawn("node", ["/tmp/tcp-server.cjs", "4000"]);
  await vm.spawn("node", ["/tmp/tcp-server.cjs", SOCKET]);
  await vm.waitForPort(4000);
  await vm.exec(`until [ -S ${SOCKET} ]; do sleep 0.05; done`, { timeout: 60_000 });
});
afterAll(() => server.stop());

/** Opens a tunnel and a connection through it. */
async function through(what: string, end: { port: number } | { socketPath: string } = { port: 4000 }) {
  const tunnel = await vm.tunnel(end);
  const socket = await connectTo(tunnel);
  socket.write(`${what}\n`);
  return { tunnel, socket };
}

test("carries 8 MiB both ways at once, unchanged", async () => {
  const { tunnel, socket } = await through("echo");
  await using _tunnel = tunnel;
  const sent = randomBytes(8 * 1024 * 1024);
  socket.end(sent);
  const received = await readAll(socket);
  expect(sha256(received)).toBe(sha256(sent));
});

test("serves forty connections at once, each with its own bytes", async () => {
  await using tunnel = await vm.tunnel({ port: 4000 });
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const socket = await connectTo(tunnel);
      socket.end(`echo\nconnection ${index}`);
      return String(await readAll(socket));
    }),
  );
  expect(answers).toEqual(answers.map((_, index) => `connection ${index}`));
});

test("one side may end before the other", async () => {
  const { tunnel, socket } = await through("sum");
  await using _tunnel = tunnel;
  socket.end("12345");
  expect(String(await readAll(socket))).toBe("5");
  const early = await connectTo(tunnel);
  early.write("end\n");
  expect(String(await readAll(early))).toBe("bye");
  // The server inside has ended its side only.
  expect(early.writable).toBe(true);
  early.end();
});

test("a reset on one side is a reset on the other", async () => {
  await using tunnel = await vm.tunnel({ port: 4000 });
  const cut = await connectTo(tunnel);
  cut.write("reset\n");
  expect(await closed(cut)).toBe(true);
  const own = await connectTo(tunnel);
  own.write("echo\nx");
  expect(await readSome(own)).toBe("x");
  own.resetAndDestroy();
  await expect
    .poll(async () => {
      const asked = await connectTo(tunnel);
      asked.end("open\n");
      return String(await readAll(asked));
    })
    .toBe("1");
});

test("a port without a listener is a reset, and an error with the reason", async () => {
  const errors: AgentVmError[] = [];
  await using tunnel = await vm.tunnel({ port: 9, onError: (error) => errors.push(error) });
  expect(await closed(await connectTo(tunnel))).toBe(true);
  await expect.poll(() => errors.map(({ code }) => code)).toEqual(["ECONNREFUSED"]);
  expect(errors[0]?.message).toContain("127.0.0.1:9");
});

test("reaches a Unix socket inside", async () => {
  const { tunnel, socket } = await through("echo", { socketPath: SOCKET });
  await using _tunnel = tunnel;
  const sent = randomBytes(1024 * 1024);
  socket.end(sent);
  expect(sha256(await readAll(socket))).toBe(sha256(sent));
});

test("refuses paths that are no socket of the VM", async () => {
  await vm.exec("ln -s /dev/log /tmp/log; touch /tmp/plain; mkfifo /tmp/fifo");
  const rows = [
    ["/tmp/plain", "ECONNREFUSED"],
    ["/tmp/fifo", "ECONNREFUSED"],
    ["/tmp", "ECONNREFUSED"],
    ["/dev/null", "ECONNREFUSED"],
    ["/tmp/missing", "ENOENT"],
    ["/tmp/log", "ENOENT"],
    ["/tmp/../tmp/x", "invalid_argument"],
  ] as const;
  for (const [socketPath, code] of rows) {
    const failed = Promise.withResolvers<AgentVmError>();
    await using tunnel = await vm.tunnel({ socketPath, onError: failed.resolve });
    await closed(await connectTo(tunnel));
    expect([socketPath, (await failed.promise).code]).toEqual([socketPath, code]);
  }
});

test("a program that does not read slows its client down, and no other connection", async () => {
  const { tunnel, socket } = await through("stall");
  await using _tunnel = tunnel;
  const piece = Buffer.alloc(1024 * 1024);
  let written = 0;
  for (let count = 0; count < 64; count++) socket.write(piece, () => (written += piece.length));
  await expect.poll(() => written, { interval: 100 }).toBeGreaterThan(0);
  const other = await connectTo(tunnel);
  other.end("echo\nquick");
  expect(String(await readAll(other))).toBe("quick");
  // Both programs' kernel buffers and the tunnel's window take less than a third.
  expect(written).toBeLessThan(20 * 1024 * 1024);
});

/** More bytes than the buffers on the way hold. */
const SENT = 32 * 1024 * 1024;

test("a client that does not read slows the program down", async () => {
  const { tunnel, socket } = await through(`send ${SENT}`);
  await using _tunnel = tunnel;
  socket.pause();
  const other = await connectTo(tunnel);
  other.end("echo\nquick");
  expect(String(await readAll(other))).toBe("quick");
  socket.end();
  expect((await readAll(socket)).length).toBe(SENT);
});

test("the end of a tunnel cuts its connections and frees its port", async () => {
  const { tunnel, socket } = await through("echo");
  const { port } = tunnel;
  await tunnel.close();
  await closed(socket);
  await using again = await vm.tunnel({ port: 4000, localPort: port });
  expect(again.port).toBe(port);
  await expect(vm.tunnel({ port: 4000, localPort: port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});

test("refuses wrong options", async () => {
  for (const options of [
    {},
    { port: 0 },
    { port: 1, socketPath: "/x" },
    { port: 1, typo: 1 },
    { socketPath: "x" },
  ])
    await expect(vm.tunnel(options as never)).rejects.toMatchObject({ code: "invalid_argument" });
});

test("a restart of the VM cuts its connections, and the next connection reaches the new boot", async () => {
  const other = server.client().vm.getOrCreate("restarts");
  const start = async () => {
    await other.writeFile("/tmp/tcp-server.cjs", TCP_SERVER);
    await other.spawn("node", ["/tmp/tcp-server.cjs", "4000"]);
    await other.waitForPort(4000);
  };
  await start();
  await using tunnel = await other.tunnel({ port: 4000 });
  const socket = await connectTo(tunnel);
  socket.write("echo\nx");
  expect(await readSome(socket)).toBe("x");
  const end = once(socket, "end");
  await other.restart();
  await end;
  socket.end();
  await start();
  const next = await connectTo(tunnel);
  next.end("echo\ny");
  expect(String(await readAll(next))).toBe("y");
});
