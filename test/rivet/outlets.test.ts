// @module-tag attack
import * as diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import { IncomingMessage, ServerResponse } from "node:http";
import { connect, Socket } from "node:net";
import { createClient } from "rivetkit/client";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import * as ws from "ws";
import type { VmHandle } from "../../src/client/index.ts";
import { Outlet, openOutlet, outletOf } from "../../src/rivet/outlets.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { longestTurn } from "../support/turns.ts";
import { failure } from "../support/until.ts";

/** Larger than a block of an encoded value, and much smaller than the values of the tests. */
const PART_BYTES = 512 * 1024;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", vm: { runtime: "memory" } });
});
afterAll(() => server.stop());

/** Returns the size of the largest part that the server hands to the network during work. */
async function largestPart(work: () => Promise<unknown>): Promise<number> {
  const spies = [
    vi.spyOn(ws.WebSocket.prototype, "send"),
    vi.spyOn(ServerResponse.prototype, "write"),
    vi.spyOn(ServerResponse.prototype, "end"),
  ];
  await work();
  const sizes = spies.flatMap(({ mock }) =>
    mock.calls.map(([data]) => Buffer.from((data ?? "") as Buffer).length),
  );
  for (const spy of spies) spy.mockRestore();
  return Math.max(...sizes);
}

const content = Uint8Array.from({ length: 5_000_001 }, (_byte, at) => at * 31);

test.each(["bare", "cbor", "json"] as const)("large results leave in parts as %s", async (encoding) => {
  const own = server.client({ encoding }).vm.getOrCreate("a");
  await own.writeFile("/tmp/large", content);
  const plain = createClient<TestServer["registry"]>({ endpoint: server.endpoint, encoding });
  const handle = plain.vm.getOrCreate("a");
  const connection = handle.connect();
  // The type of RivetKit's own client has a promise within a promise.
  const read = async (files: Promise<unknown>) => {
    const [file] = (await files) as { content: Uint8Array }[];
    // A difference of such contents would take minutes to print.
    expect(file && Buffer.from(file.content).equals(content)).toBe(true);
  };
  const work = async () => {
    // Several at once, and small results between them.
    const paths = ["/tmp/large"];
    await Promise.all([read(own.connect().readFiles(paths)), own.exists("/tmp"), read(own.readFiles(paths))]);
    await Promise.all([read(connection.readFiles(paths)), read(connection.readFiles(paths))]);
    await Promise.all([read(handle.readFiles(paths)), handle.exists("/tmp")]);
  };
  expect(await largestPart(work)).toBeLessThan(PART_BYTES);
  await plain.dispose();
});

test("a client cannot name the outlet of its request", async () => {
  const vm: VmHandle = server.client().vm.getOrCreate("a");
  await vm.writeFile("/tmp/large", content);
  const url = `${server.endpoint}/gateway/${await vm.resolve()}/action/readFile`;
  const headers = { "x-agent-vm-outlet": crypto.randomUUID() };
  const answer = await fetch(url, {
    method: "POST",
    headers,
    body: JSON.stringify({ args: ["/tmp/large"] }),
  });
  const { output } = (await answer.json()) as { output: [string, string] };
  expect(Buffer.from(output[1], "base64").equals(content)).toBe(true);
});

test("a large outcome that JSON makes too large is refused, and the connection goes on", async () => {
  const vm = server.client({ encoding: "json" }).vm.getOrCreate("a").connect();
  await vm.writeFile("/tmp/larger", new Uint8Array(24 << 20));
  expect(await failure(vm.readFiles(["/tmp/larger"]))).toMatchObject({ code: "response_too_large" });
  expect(await vm.exists("/tmp/larger")).toBe(true);
});

test("a large result whose client has left during its call does not hold the event loop", async () => {
  const vm: VmHandle = server.client().vm.getOrCreate("a");
  await vm.writeFile("/tmp/larger", new Uint8Array(22 << 20));
  const { host, hostname, port } = new URL(server.endpoint);
  const body = JSON.stringify({ args: [["/tmp/larger"]] });
  const head = [
    `POST /gateway/${await vm.resolve()}/action/readFiles HTTP/1.1`,
    `Host: ${host}`,
    "x-rivet-encoding: json",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
  ];
  const leave = async () => {
    const socket = connect(Number(port), hostname);
    const left = new Promise<void>((resolve) => {
      const started = (message: unknown) => {
        const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
        if (request.url?.endsWith("/readFiles") !== true) return;
        diagnostics.unsubscribe("http.server.request.start", started);
        request.once("end", () => socket.destroy());
        response.once("close", resolve);
      };
      diagnostics.subscribe("http.server.request.start", started);
    });
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    await left;
    // The call that is left alone ends before the same call that begins later.
    await vm.readFile("/tmp/larger");
  };
  expect(await longestTurn(leave)).toBeLessThan(80);
});

test.each(["before", "after"] as const)(
  "no outlet is left of a request whose client has gone %s it was let in",
  async (when) => {
    const socket = new Socket();
    const request = new IncomingMessage(socket);
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    const leave = async () => {
      socket.destroy();
      await once(socket, "close");
    };
    if (when === "before") await leave();
    openOutlet(request, response, "json");
    if (when === "after") await leave();
    expect(outletOf(request.rawHeaders.at(-1))).toBeUndefined();
  },
);

test("large values that wait to be encoded are counted, and wait no longer when their connection has closed", async () => {
  const bytes = 4 << 20;
  const outlet = new Outlet("connection", "bare", crypto.randomUUID());
  const waiting = Array.from({ length: 10 }, () =>
    outlet.put("x".repeat(bytes), "exec", { isLive: false, size: bytes }),
  );
  expect(outlet.waitingBytes).toBe(10 * bytes);
  outlet.close();
  const ends = await Promise.allSettled(waiting);
  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
  expect(ends.at(-1)).toMatchObject({ reason: { code: "connection_lost" } });
  expect(outlet.waitingBytes).toBe(0);
});

test("encoded values count until they are sent: RivetKit drops the answer of an action that is late", async () => {
  const outlet = new Outlet("connection", "cbor", crypto.randomUUID());
  const bytes = 1 << 20;
  const [sent] = [
    await outlet.put("x".repeat(bytes), "own", { isLive: true, size: bytes }),
    await outlet.put("y".repeat(bytes), "own", { isLive: true, size: bytes }),
  ];
  expect(outlet.waitingBytes).toBeGreaterThanOrEqual(2 * bytes);
  outlet.fill(Buffer.from(`x*${sent}`));
  expect(outlet.waitingBytes).toBeLessThan(1.1 * bytes);
  expect(outlet.waitingBytes).toBeGreaterThanOrEqual(bytes);
  outlet.close();
  expect(outlet.waitingBytes).toBe(0);
});
