import { once } from "node:events";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { closed, next } from "../support/socket-events.ts";
import { startHttpServer, startWebSocketServer } from "../support/vm-servers.ts";

let server: TestServer;
let vm: VmHandle;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", options: { token: "secret" } });
  vm = server.client({ token: "secret" }).vm.getOrCreate("sockets");
  await startWebSocketServer(vm as never, 4000);
  await startHttpServer(vm as never, 4001);
});
afterAll(() => server.stop());

test("passes text, binary, path and subprotocol, and close codes of both sides", async () => {
  const socket = await vm.vmWebSocket(4000, "/chat?room=1", ["first", "second"]);
  expect(socket.readyState).toBe(WebSocket.OPEN);
  expect(socket.protocol).toBe("second");
  socket.send("protocol");
  expect(await next(socket)).toBe("second /chat?room=1");
  socket.send(new Uint8Array([0, 1, 255]));
  expect(new Uint8Array((await next(socket)) as ArrayBuffer)).toEqual(new Uint8Array([0, 1, 255]));
  socket.send("close 4321 because");
  expect(await closed(socket)).toEqual([4321, "because"]);
  const other = await vm.vmWebSocket(4000);
  expect(other.protocol).toBe("");
  const end = closed(other);
  other.close(4000, "done");
  expect(await end).toEqual([4000, "done"]);
});

test.each(["Node's WebSocket", "the package ws"])(
  "the first message of a server reaches a caller: %s",
  async (kind) => {
    // Answers the request and greets in one packet.
    const code = `const { createHash } = require("crypto");
    require("net").createServer((s) => s.once("data", (d) => {
      const key = /sec-websocket-key: (.*)\\r/i.exec(d)[1];
      const accept = createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
      s.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n\\x81\\x05first", "latin1");
    })).listen(4003)`;
    const { pid } = await vm.spawn("node", ["-e", code]);
    await vm.waitForPort(4003);
    if (kind === "the package ws") vi.stubGlobal("WebSocket", undefined);
    try {
      const socket = await vm.vmWebSocket(4003);
      expect(await next(socket)).toBe("first");
      socket.close();
    } finally {
      vi.unstubAllGlobals();
      await vm.killProcess(pid);
    }
  },
);

test("says why a WebSocket does not open", async () => {
  await expect(vm.vmWebSocket(9)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  await expect(vm.vmWebSocket(4000, "/refused")).rejects.toMatchObject({ code: "fetch_failed" });
  await expect(vm.vmWebSocket(4001, "/")).rejects.toMatchObject({ code: "fetch_failed" });
  for (const path of ["x", "//x", "/#x", 7])
    await expect(vm.vmWebSocket(4000, path as string)).rejects.toMatchObject({ code: "invalid_argument" });
  const stranger = server.client({ token: "wrong" }).vm.getForId(await vm.resolve());
  await expect(stranger.vmWebSocket(4000)).rejects.toMatchObject({ code: "unauthorized" });
});

test("no credential of the client reaches the server inside", async () => {
  const { endpoint } = server;
  const id = await vm.resolve();
  const { wsClient } = await import("../support/ws-client.ts");
  // A server that prints what it gets, and answers nothing that is a WebSocket.
  const code = `require("net").createServer((s) => s.once("data", (d) => { console.log(String(d)); s.end("HTTP/1.1 418 x\\r\\ncontent-length: 0\\r\\n\\r\\n") })).listen(4002)`;
  const output: string[] = [];
  const conn = vm.connect();
  conn.on("processOutput", ({ data }) => output.push(new TextDecoder().decode(data)));
  await conn.spawn("node", ["-e", code]);
  await vm.waitForPort(4002);
  const headers = { cookie: "session=hidden", authorization: "Bearer secret", "x-rivet-token": "secret" };
  const socket = wsClient(`${endpoint.replace("http", "ws")}/gateway/${id}@secret/port/4002/a`, [], {
    headers,
  });
  await new Promise((resolve) => socket.once("error", resolve));
  await expect.poll(() => output.join("")).toContain("GET /a HTTP/1.1");
  expect(output.join("")).not.toMatch(/secret|hidden|cookie|authorization/i);
  await conn.dispose();
});

test("a server inside sets no cookie at the server's own origin", async () => {
  const id = await vm.resolve();
  const { wsClient } = await import("../support/ws-client.ts");
  const code = `const { createHash } = require("crypto");
    require("http").createServer().on("upgrade", (request, s) => {
      const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
      s.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nX-App: yes\\r\\n" +
        "Set-Cookie: session=forged; Path=/\\r\\nSec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
    }).listen(4004)`;
  const { pid } = await vm.spawn("node", ["-e", code]);
  await vm.waitForPort(4004);
  const socket = wsClient(`${server.endpoint.replace("http", "ws")}/gateway/${id}@secret/port/4004/`);
  const [{ headers }] = await once(socket, "upgrade");
  expect(headers).toMatchObject({ "x-app": "yes" });
  expect(headers).not.toHaveProperty("set-cookie");
  socket.terminate();
  await vm.killProcess(pid);
});
