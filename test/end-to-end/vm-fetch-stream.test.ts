import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { VmHandle } from "../../src/client/index.ts";
import { sharedServer } from "../support/servers.ts";
import { type TcpProxy, tcpProxy } from "../support/tcp-proxy.ts";
import { failure } from "../support/until.ts";
import { startHttpServer, textOf } from "../support/vm-servers.ts";

const SOON = { timeout: 5_000 };
const STREAM = { stream: true } as const;

/** Sends an event for each request of /send, counts bytes that it has sent for /flood, and answers /early before the body has come. */
const EVENTS = `
const http = require("node:http");
let events;
let sent = 0;
http.createServer((request, response) => {
  if (request.url === "/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    events = response;
    return;
  }
  if (request.url === "/send") { events.write("data: x\\n\\n"); return response.end(); }
  if (request.url === "/end") { events.end(); return response.end(); }
  if (request.url === "/sent") return response.end(String(sent));
  if (request.url === "/early") { response.writeHead(413); return response.end("too much"); }
  if (request.url === "/cookies") {
    response.writeHead(200, "Fine", { "set-cookie": ["a=1", "b=2"], "x-large": "x".repeat(12_000) });
    return response.end();
  }
  if (request.url === "/flood") {
    const piece = Buffer.alloc(65536);
    const more = () => { while (response.write(piece)) sent += piece.length; };
    response.on("drain", more);
    return more();
  }
  request.pipe(response);
}).listen(3001, "127.0.0.1");`;

const server = sharedServer();
let vm: VmHandle;
let proxy: TcpProxy;
beforeAll(async () => {
  vm = server().client().vm.getOrCreate("fetch-stream");
  proxy = await tcpProxy(server().port);
  await startHttpServer(vm, 3000);
  await vm.spawn("node", ["-e", EVENTS]);
  await vm.waitForPort(3001);
});
afterAll(() => proxy.close());

const closed = async () => Number(textOf(await vm.vmFetch(3000, "/closed")));
const readerOf = (response: Response) => (response.body as ReadableStream<Uint8Array>).getReader();
const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);

test.each(["handle", "connection"] as const)(
  "a %s gets status, headers and body as the server sends them",
  async (kind) => {
    const caller = kind === "handle" ? vm : vm.connect();
    const plain = await caller.vmFetch(3000, "/bytes/5", STREAM);
    expect([plain.status, plain.headers.get("content-length"), await plain.text()]).toEqual([
      200,
      "5",
      "xxxxx",
    ]);
    const cookies = await caller.vmFetch(3001, "/cookies", STREAM);
    expect([cookies.statusText, cookies.headers.getSetCookie()]).toEqual(["Fine", ["a=1", "b=2"]]);
    expect(cookies.headers.get("x-large")).toHaveLength(12_000);
    for (const status of [204, 304, 404, 500])
      expect((await caller.vmFetch(3000, `/status/${status}`, STREAM)).status).toBe(status);
    const redirect = await caller.vmFetch(3000, "/redirect", STREAM);
    expect([redirect.status, redirect.headers.get("location")]).toEqual([302, "/elsewhere"]);
  },
);

test("events arrive when they are sent", async () => {
  const response = await vm.vmFetch(3001, "/events", STREAM);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = readerOf(response);
  for (let round = 0; round < 3; round++) {
    await vm.vmFetch(3001, "/send");
    expect(text((await reader.read()).value)).toBe("data: x\n\n");
  }
  await vm.vmFetch(3001, "/end");
  expect((await reader.read()).done).toBe(true);
});

test("bodies larger than a message go in and out", { tags: ["slow"] }, async () => {
  const body = randomBytes(33_000_000);
  const stream = ReadableStream.from(
    (function* () {
      for (let at = 0; at < body.length; at += 1_000_003) yield body.subarray(at, at + 1_000_003);
    })(),
  );
  for (const sent of [body, new Blob([body]), stream]) {
    const response = await vm.vmFetch(3001, "/echo", { ...STREAM, method: "POST", body: sent });
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), body)).toBe(0);
  }
  const large = await vm.vmFetch(3000, "/bytes/40000000", STREAM);
  expect((await large.arrayBuffer()).byteLength).toBe(40_000_000);
});

test("a body flows back while it is still being sent", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const responding = vm.vmFetch(3001, "/echo", { ...STREAM, method: "POST", body: readable });
  await writer.write(new TextEncoder().encode("one"));
  const reader = readerOf(await responding);
  expect(text((await reader.read()).value)).toBe("one");
  await writer.write(new TextEncoder().encode("two"));
  expect(text((await reader.read()).value)).toBe("two");
  await writer.close();
  expect((await reader.read()).done).toBe(true);
});

test("an answer before the end of the request's body arrives", async () => {
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
  });
  const response = await vm.vmFetch(3001, "/early", { ...STREAM, method: "POST", body: endless });
  expect([response.status, await response.text()]).toEqual([413, "too much"]);
});

test("an answer that ends, or an abort, cancels a body that has more to come", async () => {
  for (const end of ["answer", "abort"]) {
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<unknown>();
    const stop = new AbortController();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(1)),
      pull: () => new Promise(() => undefined),
      cancel,
    });
    const path = end === "answer" ? "/early" : "/hang";
    const options = { ...STREAM, method: "POST", body };
    const response = vm.vmFetch(3001, path, options, { signal: stop.signal });
    if (end === "answer") expect((await response).status).toBe(413);
    else stop.abort(new Error("enough"));
    if (end === "answer") await (await response).text();
    else expect((await failure(response)).message).toBe("enough");
    await cancelled;
  }
});

test("a server inside waits for a slow reader", async () => {
  const before = server().residentMib();
  const reader = readerOf(await vm.vmFetch(3001, "/flood", STREAM));
  await reader.read();
  const sent = async () => Number(textOf(await vm.vmFetch(3001, "/sent")));
  let last = -1;
  await expect
    .poll(
      async () => {
        const isSame = last === (await sent());
        last = await sent();
        return isSame;
      },
      { interval: 300 },
    )
    .toBe(true);
  expect(last).toBeLessThan(64_000_000);
  expect(server().residentMib() - before).toBeLessThan(64);
  await reader.cancel();
});

test("an abort, before or after the head, and a cancelled body close the request in the VM", async () => {
  const before = await closed();
  const stop = new AbortController();
  const waiting = failure(vm.vmFetch(3000, "/hang/stream", STREAM, { signal: stop.signal }));
  await vm.vmFetch(3000, "/arrived/stream");
  stop.abort(new Error("enough"));
  expect((await waiting).message).toBe("enough");
  await expect.poll(closed, SOON).toBe(before + 1);

  const later = new AbortController();
  const slow = readerOf(await vm.vmFetch(3000, "/slow", STREAM, { signal: later.signal }));
  await slow.read();
  later.abort(new Error("later"));
  expect((await failure(slow.read())).message).toBe("later");
  await expect.poll(closed, SOON).toBe(before + 2);

  const cancelled = readerOf(await vm.vmFetch(3000, "/slow", STREAM));
  await cancelled.read();
  await cancelled.cancel();
  await expect.poll(closed, SOON).toBe(before + 3);
});

test("a broken connection closes the request in the VM, and fails the body", async () => {
  const before = await closed();
  const far = server().client({ endpoint: proxy.endpoint }).vm.getOrCreate("fetch-stream");
  const reader = readerOf(await far.vmFetch(3000, "/slow", STREAM));
  await reader.read();
  proxy.cut();
  await failure(reader.read());
  await expect.poll(closed, SOON).toBe(before + 1);
});

test("a body of a client that breaks off does not look complete", async () => {
  const failing = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("half")),
    pull: (controller) => controller.error(new Error("the source broke")),
  });
  const sent = vm.vmFetch(3000, "/mirror", { ...STREAM, method: "POST", body: failing });
  expect((await failure(sent)).name).toMatch(/Error/);
});

test("a response that breaks off fails its body", async () => {
  const response = await vm.vmFetch(3000, "/cut", STREAM);
  const reader = readerOf(response);
  const error = await failure(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  );
  expect(error).toBeInstanceOf(Error);
});

test("errors have the codes of vmFetch", async () => {
  const fetched = (port: number, path: string, options: object = {}) =>
    failure(vm.vmFetch(port, path, { ...STREAM, ...options }));
  expect(await fetched(3999, "/")).toMatchObject({ code: "ECONNREFUSED" });
  expect(await fetched(3000, "/hang", { timeoutMs: 50 })).toMatchObject({ code: "fetch_timeout" });
  expect(await fetched(0, "/")).toMatchObject({ code: "invalid_argument" });
  expect(await fetched(3000, "/", { method: "CONNECT" })).toMatchObject({ code: "invalid_argument" });
  expect(await fetched(3000, "/", { headers: { "bad name": "x" } })).toMatchObject({
    code: "invalid_argument",
  });
  expect(await fetched(3000, "/", { body: 5 })).toMatchObject({ code: "invalid_argument" });
  expect(await fetched(3000, "/", { unknown: 5 })).toMatchObject({ code: "invalid_argument" });
});

test("keeps connections between streamed requests", async () => {
  const ports = new Set<number>();
  for (let round = 0; round < 5; round++) {
    const response = await vm.vmFetch(3000, "/where", STREAM);
    ports.add(((await response.json()) as { connection: number }).connection);
  }
  expect([...ports]).toEqual([expect.any(Number)]);
});
