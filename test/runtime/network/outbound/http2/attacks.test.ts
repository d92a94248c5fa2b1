// @module-tag attack
import { constants, createSecureServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import type { TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { MAX_HTTP2_STREAMS } from "../../../../../src/runtime/network/limits.ts";
import { makeCertificate } from "../../../../support/certificate.ts";
import { requestStream, SECRET, startOpeningProxy } from "../../../../support/opening-proxy.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME = { headers: 1, reset: 3, settings: 4, ping: 6, window: 8, continuation: 9 };
const [END_STREAM, END_HEADERS] = [1, 4];

/** Starts a host `api.test` that answers each request with its headers, and a proxy in front of it. */
async function startHost(serve?: (stream: ServerHttp2Stream) => void) {
  const tls = await makeCertificate("api.test");
  const server = createSecureServer(tls);
  const seen: Record<string, unknown>[] = [];
  server.on("session", (session) => {
    session.on("error", () => undefined);
    onTestFinished(() => session.destroy());
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    seen.push({ ...headers });
    if (serve !== undefined) return serve(stream);
    stream.respond({ ":status": 200 });
    stream.end("good");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.2", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { ...(await startOpeningProxy({ port, cert: tls.cert })), port, seen };
}

function frame(type: number, flags: number, stream: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** A header of HPACK without compression. */
function field(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

const fieldsFor = (authority: string) =>
  Buffer.concat([
    field(":method", "GET"),
    field(":scheme", "https"),
    field(":authority", authority),
    field(":path", "/"),
  ]);

/** Opens a connection that has sent its first frames. */
async function openRaw({ open }: Awaited<ReturnType<typeof startHost>>): Promise<TLSSocket> {
  const socket = await open(["h2"]);
  socket.on("error", () => undefined);
  socket.resume();
  socket.write(Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0)]));
  return socket;
}

/** Writes pieces until the other side closes, or takes no more for two seconds. */
async function flood(
  socket: TLSSocket,
  piece: (count: number) => Buffer,
): Promise<"closed" | "stalled" | "taken"> {
  const closed = new Promise<"closed">((resolve) => socket.once("close", () => resolve("closed")));
  const later = () => new Promise<"stalled">((resolve) => setTimeout(resolve, 2_000, "stalled").unref());
  for (let sent = 0; sent < 3_000 && !socket.destroyed; sent++) {
    if (socket.write(piece(sent))) continue;
    const drained = new Promise<"drained">((resolve) => socket.once("drain", () => resolve("drained")));
    const next = await Promise.race([drained, closed, later()]);
    if (next !== "drained") return next;
  }
  const last = await Promise.race([closed, later()]);
  return last === "closed" ? last : "taken";
}

test("a connection for one host carries no request to another, and no tunnel", async () => {
  const host = await startHost();
  const session = await host.session();
  const own = `api.test:${host.port}`;
  const tries: [Record<string, string>, number][] = [
    [{ ":authority": `other.test:${host.port}` }, 421],
    [{ ":authority": "api.test" }, 421],
    [{ ":authority": own, host: "other.test" }, 421],
    [{ ":authority": `API.test:${host.port}` }, 200],
    [{ ":authority": own, ":scheme": "http" }, 400],
    [{ ":authority": own, ":path": "/a#/../b" }, 400],
    [{ ":authority": own, ":method": "TRACE" }, 405],
  ];
  for (const [headers, status] of tries) {
    const answer = await requestStream(session, { ":path": "/", ...headers });
    expect([headers, answer.headers[":status"]]).toEqual([headers, status]);
  }
  expect(
    (await requestStream(session, { ":method": "CONNECT", ":authority": "other.test:443" })).headers,
  ).toMatchObject({ ":status": 405 });
  expect(host.seen.map(({ ":authority": authority }) => authority)).toEqual([own]);
});

test("a program cannot send its own spelling of an added header, or framing of HTTP/1.1", async () => {
  const host = await startHost();
  const raw = await openRaw(host);
  const evil = [
    field("authorization", "mine"),
    field("x_a", "1"),
    field("content_length", "3"),
    field("transfer_encoding", "chunked"),
    field("http2-settings", "AAAA"),
  ];
  const fields = Buffer.concat([fieldsFor(`api.test:${host.port}`), ...evil]);
  raw.write(frame(FRAME.headers, END_STREAM | END_HEADERS, 1, fields));
  await expect.poll(() => host.seen.length).toBe(1);
  const [headers] = host.seen;
  expect(headers).toMatchObject({ authorization: `Bearer ${SECRET}`, x_a: "1" });
  for (const name of ["content_length", "transfer_encoding", "http2-settings"])
    expect(headers).not.toHaveProperty(name);
  for (const [name, value] of [
    ["transfer-encoding", "chunked"],
    ["connection", "x"],
    ["Upper", "x"],
    ["x", "a\r\nb: c"],
  ] as const) {
    const socket = await openRaw(host);
    const bad = Buffer.concat([fieldsFor(`api.test:${host.port}`), field(name, value)]);
    socket.write(frame(FRAME.headers, END_STREAM | END_HEADERS, 1, bad));
    socket.write(frame(FRAME.headers, END_STREAM | END_HEADERS, 3, fieldsFor(`api.test:${host.port}`)));
    await expect.poll(() => host.seen.length, { message: name }).toBeGreaterThan(1);
    expect(Object.keys(host.seen.pop() as object)).not.toContain(name.toLowerCase());
  }
});

test("headers above 16 KiB, and more streams at a time than the limit, are refused", async () => {
  const host = await startHost(() => undefined);
  const large = await requestStream(await host.session(), { ":path": "/", x: "x".repeat(20_000) });
  // The program has acknowledged the limit, or not yet.
  expect([large.code, large.headers[":status"]]).toBeOneOf([
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined],
    [0, 431],
  ]);
  expect(host.seen).toEqual([]);
  const raw = await openRaw(host);
  const fields = fieldsFor(`api.test:${host.port}`);
  for (let count = 0; count < MAX_HTTP2_STREAMS + 50; count++)
    raw.write(frame(FRAME.headers, END_STREAM | END_HEADERS, 2 * count + 1, fields));
  await expect.poll(() => host.seen.length).toBe(MAX_HTTP2_STREAMS);
  const other = await host.session();
  const stream = other.request({ ":path": "/other" });
  stream.on("error", () => undefined);
  await expect.poll(() => host.seen.at(-1)?.[":path"]).toBe("/other");
  expect(host.seen.length).toBe(MAX_HTTP2_STREAMS + 1);
});

test("floods of settings, pings, resets and continuations end the connection, and other connections go on", {
  tags: ["slow"],
}, async () => {
  const host = await startHost();
  const fields = fieldsFor(`api.test:${host.port}`);
  const request = (stream: number) => frame(FRAME.headers, END_STREAM | END_HEADERS, stream, fields);
  const pieces: Record<string, (count: number) => Buffer> = {
    settings: () => Buffer.concat(Array(100).fill(frame(FRAME.settings, 0, 0))),
    ping: () => Buffer.concat(Array(1_000).fill(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))),
    reset: (count) =>
      Buffer.concat([
        request(2 * count + 1),
        frame(FRAME.reset, 0, 2 * count + 1, Buffer.from([0, 0, 0, 8])),
      ]),
    continuation: (count) =>
      count === 0
        ? frame(FRAME.headers, END_STREAM, 1, fields)
        : frame(FRAME.continuation, 0, 1, field("x", "y")),
  };
  for (const [name, piece] of Object.entries(pieces)) {
    const socket = await openRaw(host);
    // A program that reads no acknowledgements of its pings must not be read on.
    if (name === "ping") socket.pause();
    expect([name, await flood(socket, piece)]).toEqual([name, name === "ping" ? "stalled" : "closed"]);
    expect((await requestStream(await host.session(), { ":path": "/" })).body).toBe("good");
  }
});

test("a program that leaves during a request ends it at the host", async () => {
  const codes: number[] = [];
  const host = await startHost((stream) => {
    stream.respond({ ":status": 200 });
    stream.on("close", () => codes.push(stream.rstCode));
  });
  const session = await host.session();
  for (const path of ["/1", "/2"]) session.request({ ":path": path }).on("error", () => undefined);
  await expect.poll(() => host.seen.length).toBe(2);
  session.destroy();
  await expect.poll(() => codes.length).toBe(2);
  expect(codes).toEqual(Array(2).fill(constants.NGHTTP2_CANCEL));
});

test("a program that sends a handshake byte by byte, or never whole, holds up no other", async () => {
  const host = await startHost();
  const waiting = Array.from({ length: 20 }, () => connect(host.proxyPort, "127.0.0.1"));
  for (const socket of waiting) {
    onTestFinished(() => void socket.destroy());
    socket.write(`CONNECT api.test:${host.port} HTTP/1.1\r\nHost: api.test\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    for (const byte of Buffer.from("160301020001000000", "hex")) socket.write(Buffer.from([byte]));
  }
  expect((await requestStream(await host.session(), { ":path": "/" })).body).toBe("good");
});
