// @module-tag attack
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createSecureServer,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { createSecureContext, type SecureContext } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { NetworkQuestions } from "../../../../../src/runtime/network/outbound/questions.ts";
import { makeCertificate } from "../../../../support/certificate.ts";
import { requestStream, startOpeningProxy } from "../../../../support/opening-proxy.ts";

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

/** Lets a test send what Node refuses to send. The types of Node lack it. */
const LAX = { strictSingleValueFields: false };

/** A header of one value, twice. */
const TWICE: Record<string, string[]> = { etag: ["1", "2"] };

type Options = Partial<Parameters<typeof startOpeningProxy>[0]>;
type SniCallback = (name: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/** Starts a host `api.test` that may repeat any header, and a proxy in front of it. */
async function startHost(
  serve: (stream: ServerHttp2Stream, path: string) => void,
  {
    SNICallback,
    ...more
  }: Options & { SNICallback?: (tls: { key: string; cert: string }) => SniCallback } = {},
) {
  const tls = await makeCertificate("api.test");
  const server = createSecureServer({
    ...tls,
    ...LAX,
    ...(SNICallback && { SNICallback: SNICallback(tls) }),
  });
  const ends: Record<string, number> = {};
  server.on("session", (session) => {
    session.on("error", () => undefined);
    onTestFinished(() => session.destroy());
  });
  server.on("stream", (stream, headers) => {
    const path = String(headers[":path"]);
    stream.on("error", () => undefined);
    stream.once("close", () => {
      ends[path] = stream.rstCode;
    });
    serve(stream, path);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.2", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { ...(await startOpeningProxy({ port, cert: tls.cert, ...more })), port, ends };
}

/** Opens a session whose program may repeat any header. */
async function openLax({ open, port }: Awaited<ReturnType<typeof startHost>>): Promise<ClientHttp2Session> {
  const secure = await open(["h2"]);
  const session = connect(`https://api.test:${port}`, {
    createConnection: () => secure,
    ...LAX,
  });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

async function endOf(stream: ClientHttp2Stream): Promise<number> {
  stream.on("error", () => undefined);
  stream.resume();
  if (!stream.closed) await new Promise((resolve) => stream.once("close", resolve));
  return stream.rstCode;
}

const good = (stream: ServerHttp2Stream) => {
  stream.resume();
  stream.respond({ ":status": 200 });
  stream.end("good");
};

function endWith(stream: ServerHttp2Stream, trailers: Record<string, string | string[]>): void {
  stream.respond({ ":status": 200 }, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end("body");
}

test.for(["etag", "date", "content-type"])(
  "a program that repeats the trailer %s loses its request only",
  async (name) => {
    const host = await startHost((stream, path) => {
      if (path === "/good") good(stream);
      else stream.resume();
    });
    const session = await openLax(host);
    const stream = session.request({ ":method": "POST", ":path": "/bad" }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ [name]: ["1", "2"] }));
    stream.end("body");
    expect(await endOf(stream)).toBe(NGHTTP2_INTERNAL_ERROR);
    await expect.poll(() => host.ends["/bad"]).toBeGreaterThan(NGHTTP2_NO_ERROR);
    expect((await requestStream(session, { ":path": "/good" })).body).toBe("good");
  },
);

test("a host that repeats a trailer of one value loses its response only", async () => {
  const host = await startHost((stream, path) => {
    if (path === "/good") good(stream);
    else endWith(stream, TWICE);
  });
  const session = await host.session();
  expect((await requestStream(session, { ":path": "/bad" })).code).toBe(NGHTTP2_INTERNAL_ERROR);
  expect((await requestStream(session, { ":path": "/good" })).body).toBe("good");
});

test.for(["grpc-encoding", "content-encoding"])(
  "a host with a masked secret whose trailers say %s loses its response only",
  async (name) => {
    const host = await startHost(
      (stream, path) => {
        if (path === "/good") good(stream);
        else endWith(stream, { [name]: "gzip" });
      },
      { secret: { mask: true } },
    );
    const session = await host.session();
    expect((await requestStream(session, { ":path": "/bad" })).code).toBe(NGHTTP2_INTERNAL_ERROR);
    expect((await requestStream(session, { ":path": "/good" })).body).toBe("good");
  },
);

test("a request or a response that repeats a header of one value gets an error as its answer", async () => {
  const host = await startHost((stream, path) => {
    if (path === "/good") return good(stream);
    stream.respond({ ":status": 200, ...TWICE });
    stream.end("body");
  });
  const session = await openLax(host);
  const response = await requestStream(session, { ":path": "/bad" });
  expect([response.headers[":status"], response.body, response.code]).toEqual([
    502,
    expect.stringContaining("etag"),
    NGHTTP2_NO_ERROR,
  ]);
  const request = await requestStream(session, { ":path": "/good", ...TWICE });
  expect([request.headers[":status"], request.body]).toEqual([502, expect.stringContaining("etag")]);
  expect((await requestStream(session, { ":path": "/good" })).body).toBe("good");
});

test("a request that its program resets before the host is reached does not go out", async () => {
  const asked: (string | undefined)[] = [];
  const { promise: reached, resolve: reach } = Promise.withResolvers<() => void>();
  const questions = new NetworkQuestions({
    emit: () => undefined,
    hasListeners: () => false,
    onFailure: () => undefined,
    onNetworkRequest: async ({ path }) => {
      asked.push(path);
      return "once" as const;
    },
    timeoutMs: 10_000,
  });
  const seen: string[] = [];
  const host = await startHost(
    (stream, path) => {
      seen.push(path);
      good(stream);
    },
    {
      questions,
      policy: (port) => ({ allow: [`127.0.0.2:${port}`], ask: ["api.test"] }),
      SNICallback: (tls) => (_name, done) => reach(() => done(null, createSecureContext(tls))),
    },
  );
  const session = await host.session();
  const stream = session.request({ ":path": "/reset" });
  const goOn = await reached;
  stream.close(constants.NGHTTP2_CANCEL);
  const next = requestStream(session, { ":path": "/next" });
  // The proxy has read the reset when it asks about the next request.
  await expect.poll(() => asked).toEqual(["/reset", "/next"]);
  goOn();
  expect((await next).body).toBe("good");
  expect(seen).toEqual(["/next"]);
});
