import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { download } from "../../../src/client/rivet/download.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** Serves HTTP, and returns the URL. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/bytes?offset=1`;
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

const content = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => at % 251));

test("a body fills the room that is given for it", async () => {
  const seen: unknown[] = [];
  const url = await serve(({ url, headers }, response) => {
    seen.push(url, headers["x-rivet-token"]);
    response.setHeader("content-length", content.length);
    response.end(content);
  });
  const room = new Uint8Array(content.length);
  const { status, length, pieces } = await download({ url, headers: { "x-rivet-token": "t" }, room });
  expect([status, length]).toEqual([200, content.length]);
  for await (const piece of pieces) expect(piece.buffer).toBe(room.buffer);
  expect(content.equals(room)).toBe(true);
  expect(seen).toEqual(["/bytes?offset=1", "t"]);
});

test("an empty body has no pieces", async () => {
  const url = await serve((_, response) => response.setHeader("content-length", 0).end());
  const { length, pieces } = await download({ url, headers: {}, room: new Uint8Array(10) });
  expect(length).toBe(0);
  expect(await collect(pieces)).toHaveLength(0);
});

test("a body in chunks arrives, whose length nobody has announced", async () => {
  const url = await serve((_, response) => {
    response.write(content.subarray(0, 100));
    response.end(content.subarray(100));
  });
  const { length, pieces } = await download({ url, headers: {}, room: new Uint8Array(content.length) });
  expect(length).toBeNaN();
  expect(content.equals(await collect(pieces))).toBe(true);
});

test("a body that is larger than the room arrives all the same", async () => {
  const url = await serve((_, response) => response.setHeader("content-length", content.length).end(content));
  const { pieces } = await download({ url, headers: {}, room: new Uint8Array(10) });
  expect(content.equals(await collect(pieces))).toBe(true);
});

test("a refusal arrives with its status and text", async () => {
  const url = await serve((_, response) => response.writeHead(404, { "content-length": 2 }).end("{}"));
  const { status, pieces } = await download({ url, headers: {}, room: new Uint8Array(10) });
  expect(status).toBe(404);
  expect((await collect(pieces)).toString()).toBe("{}");
});

test("a connection that breaks in the body is an error after the bytes that have arrived", async () => {
  const url = await serve((_, response) => {
    response.setHeader("content-length", content.length);
    response.write(content.subarray(0, 1_000), () => response.destroy());
  });
  const room = new Uint8Array(content.length);
  const { pieces } = await download({ url, headers: {}, room });
  let arrived = 0;
  await expect(async () => {
    for await (const piece of pieces) arrived += piece.length;
  }).rejects.toThrow();
  expect(arrived).toBe(1_000);
});

test("a server that cannot be reached, or answers nonsense, is an error", async () => {
  const url = await serve(({ socket }) => socket.end("nonsense\r\n\r\n"));
  await expect(download({ url, headers: {}, room: new Uint8Array(9) })).rejects.toThrow("cannot be reached");
  for (const end of ends.splice(0)) end();
  await expect(download({ url, headers: {}, room: new Uint8Array(9) })).rejects.toThrow("cannot be reached");
});

test("an abort ends the request, before its answer and in its body", async () => {
  const closed: Promise<unknown>[] = [];
  const url = await serve((request, response) => {
    closed.push(new Promise((resolve) => response.once("close", resolve)));
    if (request.url === "/bytes?offset=1")
      response.setHeader("content-length", content.length).write(content.subarray(0, 10));
  });
  const reason = new Error("enough");
  const silent = new AbortController();
  const waiting = download({
    ...{ url: `${url}0`, headers: {}, room: new Uint8Array(9), signal: silent.signal },
  });
  setTimeout(() => silent.abort(reason));
  await expect(waiting).rejects.toBe(reason);
  const abort = new AbortController();
  const room = new Uint8Array(content.length);
  const { pieces } = await download({ url, headers: {}, room, signal: abort.signal });
  await expect(async () => {
    for await (const _ of pieces) abort.abort(reason);
  }).rejects.toBe(reason);
  await Promise.all(closed);
});

test("a reader that stops ends the request", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const url = await serve((_, response) => {
    response.once("close", () => resolve());
    response.setHeader("content-length", content.length).write(content.subarray(0, 10));
  });
  const { pieces } = await download({ url, headers: {}, room: new Uint8Array(content.length) });
  for await (const _ of pieces) break;
  await closed;
});
