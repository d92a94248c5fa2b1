import { once } from "node:events";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { NetworkQuestions } from "../../../../../src/runtime/network/outbound/questions.ts";
import { makeCertificate } from "../../../../support/certificate.ts";
import { requestStream, SECRET, startOpeningProxy } from "../../../../support/opening-proxy.ts";
import { startOutside } from "../../../../support/outside.ts";

type Serve = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void;

const BEARER = `Bearer ${SECRET}`;

/** Starts a host `api.test` that speaks HTTP/2, and a proxy in front of it. */
async function startHost(serve: Serve, more: Partial<Parameters<typeof startOpeningProxy>[0]> = {}) {
  const tls = await makeCertificate("api.test");
  const server: Http2SecureServer = createSecureServer(tls);
  let sessions = 0;
  server.on("session", (session) => {
    sessions += 1;
    session.on("error", () => undefined);
    onTestFinished(() => session.destroy());
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => undefined);
    serve(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.2", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const proxy = await startOpeningProxy({ port, cert: tls.cert, ...more });
  return { ...proxy, server, port, sessions: () => sessions };
}

/** Answers with the request's headers, its body and its trailers. */
const echo: Serve = (stream, headers) => {
  let body = "";
  let trailers = {};
  stream.on("trailers", (given) => {
    trailers = given;
  });
  stream.setEncoding("latin1").on("data", (text: string) => {
    body += text;
  });
  stream.on("end", () => {
    if (stream.destroyed) return;
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "x-checksum": "1234" }));
    stream.end(JSON.stringify({ headers, body, trailers }));
  });
};

test("requests of one connection get the secret over one connection to the host, with bodies and trailers", async () => {
  const host = await startHost(echo);
  const session = await host.session();
  const paths = ["/a", "/b?q=%20", "/c"];
  const answers = await Promise.all(
    paths.map((path) =>
      requestStream(
        session,
        { ":method": "POST", ":path": path, authorization: "mine", x: ["1", "2"] },
        path,
      ),
    ),
  );
  const seen = answers.map(({ body }) => JSON.parse(body));
  expect(seen.map(({ headers, body }) => [headers[":path"], headers.authorization, headers.x, body])).toEqual(
    paths.map((path) => [path, BEARER, "1, 2", path]),
  );
  expect(answers.map(({ trailers }) => trailers["x-checksum"])).toEqual(["1234", "1234", "1234"]);
  expect(seen[0].headers[":authority"]).toBe(`api.test:${host.port}`);
  const trailing = session.request(
    { ":method": "POST", ":path": "/t", te: "trailers" },
    { waitForTrailers: true },
  );
  trailing.once("wantTrailers", () => trailing.sendTrailers({ "x-end": "yes" }));
  trailing.end("some");
  let text = "";
  for await (const piece of trailing.setEncoding("utf8")) text += piece;
  const { headers, body, trailers } = JSON.parse(text);
  expect([headers.te, body, trailers["x-end"]]).toEqual(["trailers", "some", "yes"]);
  expect(host.sessions()).toBe(1);
});

test("parameters and placeholders reach the host in headers, query and body, under rules for method and path", async () => {
  const host = await startHost(echo, {
    secret: {
      headers: {},
      query: { key: "{secret}" },
      placeholderIn: ["headers", "query", "body"],
      methods: ["POST"],
      paths: ["/v1/*"],
    },
  });
  const session = await host.session();
  const send = async (method: string, path: string, body?: string) => {
    const answer = await requestStream(
      session,
      {
        ":method": method,
        ":path": path,
        "x-key": "AGENT_SECRET_API_KEY",
        "content-type": "application/json",
      },
      body,
    );
    return JSON.parse(answer.body);
  };
  const replaced = await send("POST", "/v1/a?p=AGENT_SECRET_API_KEY", '{"k":"AGENT_SECRET_API_KEY"}');
  const encoded = encodeURIComponent(SECRET);
  expect(replaced.headers[":path"]).toBe(`/v1/a?p=${encoded}&key=${encoded}`);
  expect([replaced.headers["x-key"], replaced.body]).toEqual([SECRET, `{"k":"${SECRET}"}`]);
  expect(replaced.headers["content-length"]).toBe(String(replaced.body.length));
  for (const [method, path] of [
    ["PUT", "/v1/a"],
    ["POST", "/v2"],
    ["POST", "/v1/../v2"],
  ] as const) {
    const plain = await send(method, path, "AGENT_SECRET_API_KEY");
    expect([plain.headers["x-key"], plain.body]).toEqual(["AGENT_SECRET_API_KEY", "AGENT_SECRET_API_KEY"]);
    expect(plain.headers[":path"]).toBe(path);
  }
  const large = `${"x".repeat(1024 * 1024)}AGENT_SECRET_API_KEY`;
  expect((await send("POST", "/v1/a", large)).body).toBe(large);
});

test("a placeholder in a message of gRPC is refused by its name, and one in the metadata is replaced", async () => {
  const host = await startHost(echo, { secret: { headers: {}, placeholderIn: ["headers", "body"] } });
  const session = await host.session();
  const call = { ":method": "POST", ":path": "/s/M", "content-type": "application/grpc" };
  const sent = await requestStream(session, { ...call, "x-key": "AGENT_SECRET_API_KEY" }, "\0\0\0\0\x02{}");
  expect(JSON.parse(sent.body).headers["x-key"]).toBe(SECRET);
  const stream = session.request(call);
  stream.on("error", () => undefined);
  await new Promise((resolve) => stream.write("\0\0\0\0\x19[AGENT_SEC", resolve));
  stream.write("RET_API_KEYz]");
  const [headers] = await once(stream, "response");
  expect(headers).toMatchObject({ "grpc-status": "3" });
  expect(headers["grpc-message"]).toContain("AGENT_SECRET_API_KEY is in a message of gRPC");
  // A secret without `body` may be in messages.
  const other = await startHost(echo, { secret: { headers: {}, placeholderIn: ["headers"] } });
  const passed = await requestStream(await other.session(), call, "\0\0\0\0\x14AGENT_SECRET_API_KEY");
  expect(JSON.parse(passed.body).body).toContain("AGENT_SECRET_API_KEY");
});

test("both directions stream at the same time, and a reset passes with its code", async () => {
  const { promise: closed, resolve: close } = Promise.withResolvers<number>();
  const host = await startHost((stream) => {
    stream.respond({ ":status": 200 });
    stream.on("data", (data) => stream.write(`echo ${data}`));
    stream.on("close", () => close(stream.rstCode));
  });
  const session = await host.session();
  const stream = session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
  stream.on("error", () => undefined);
  for (const word of ["one", "two"]) {
    stream.write(word);
    expect(String((await once(stream, "data"))[0])).toBe(`echo ${word}`);
  }
  stream.close(8);
  expect(await closed).toBe(8);
  const refusing = await startHost((given) => given.close(7));
  const { code, headers } = await requestStream(await refusing.session(), { ":path": "/" });
  expect([code, headers[":status"]]).toEqual([7, undefined]);
});

test("a masked secret is in no header, body or trailer, and a coded answer is refused", async () => {
  const host = await startHost(
    (stream, headers) => {
      const isCoded = headers[":path"] === "/coded";
      stream.respond(
        {
          ":status": 200,
          "x-echo": String(headers.authorization),
          ...(isCoded && { "content-encoding": "gzip" }),
        },
        { waitForTrailers: true },
      );
      stream.once("wantTrailers", () => stream.sendTrailers({ "x-end": SECRET }));
      stream.write(SECRET.slice(0, 5));
      setImmediate(() => stream.end(`${SECRET.slice(5)} ${headers["accept-encoding"]}`));
    },
    { secret: { mask: true } },
  );
  const session = await host.session();
  const stars = "*".repeat(SECRET.length);
  const { headers, body, trailers } = await requestStream(session, {
    ":path": "/",
    "accept-encoding": "gzip",
  });
  expect([headers["x-echo"], body, trailers["x-end"]]).toEqual([
    `Bearer ${stars}`,
    `${stars} identity`,
    stars,
  ]);
  const coded = await requestStream(session, { ":path": "/coded" });
  expect([coded.headers[":status"], coded.body]).toEqual([502, expect.stringContaining("is coded (gzip)")]);
});

test("a message of gRPC that ends like a secret begins arrives without the next one", async () => {
  const message = (text: string) => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(text.length, 1);
    return Buffer.concat([head, Buffer.from(text)]);
  };
  const host = await startHost(
    (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.on("data", () => stream.write(message(`got ${SECRET} ${SECRET.slice(0, 4)}`)));
      stream.on("end", () => stream.end());
    },
    { secret: { mask: true } },
  );
  const session = await host.session();
  const stream = session.request({ ":method": "POST", ":path": "/s/M", "content-type": "application/grpc" });
  let text = "";
  stream.on("data", (data: Buffer) => {
    text += data.subarray(0).toString("latin1");
  });
  for (const count of [1, 2, 3]) {
    stream.write(message("next"));
    await expect.poll(() => text.split(`got ${"*".repeat(SECRET.length)} s3cr`).length - 1).toBe(count);
  }
  stream.end();
  const [trailers] = await once(stream, "trailers");
  expect(trailers["grpc-status"]).toBe("0");
});

test("the program gets the protocol of the host", async () => {
  const both = await startHost(echo);
  expect((await both.open(["h2", "http/1.1"])).alpnProtocol).toBe("h2");
  const plain = await both.open(["http/1.1"]);
  plain.write(`GET / HTTP/1.1\r\nHost: api.test:${both.port}\r\n\r\n`);
  // This host speaks only HTTP/2, and says so in its handshake.
  expect(String((await once(plain, "data"))[0])).toMatch(/502 Bad Gateway[\s\S]*no application protocol/);
  const tls = await makeCertificate("api.test");
  const outside = await startOutside(undefined, tls, "127.0.0.2");
  const old = await startOpeningProxy({ port: outside.port, cert: tls.cert });
  let connections = 0;
  outside.server.on("secureConnection", () => connections++);
  const fallback = await old.open(["h2", "http/1.1"]);
  expect(fallback.alpnProtocol).toBe("http/1.1");
  for (const path of ["/1", "/2"]) {
    fallback.write(`GET ${path} HTTP/1.1\r\nHost: api.test:${outside.port}\r\n\r\n`);
    await expect.poll(() => outside.requests.at(-1)?.url).toBe(path);
  }
  expect(outside.requests.map(({ headers }) => headers.authorization)).toEqual([BEARER, BEARER]);
  expect(connections).toBe(1);
});

test("a host behind a question is asked about each request, and one that speaks no HTTP/2 then says so", async () => {
  const asked: (string | undefined)[] = [];
  const ask = () =>
    new NetworkQuestions({
      emit: () => undefined,
      hasListeners: () => false,
      onFailure: () => undefined,
      onNetworkRequest: async ({ method, path }) => {
        asked.push(`${method} ${path}`);
        return path === "/no" ? "deny" : "once";
      },
      timeoutMs: 10_000,
    });
  const policy = (port: number) => ({ allow: [`127.0.0.2:${port}`], ask: ["api.test"] });
  const host = await startHost(echo, { policy, questions: ask() });
  const session = await host.session();
  expect(host.sessions()).toBe(0);
  expect((await requestStream(session, { ":path": "/yes?q=1" })).headers[":status"]).toBe(200);
  const denied = await requestStream(session, { ":path": "/no" });
  expect([denied.headers[":status"], denied.body]).toEqual([403, expect.stringContaining("is denied")]);
  const grpc = { ":method": "POST", ":path": "/no", "content-type": "application/grpc" };
  const refused = await requestStream(session, grpc, "");
  expect(refused.headers).toMatchObject({
    "grpc-status": "7",
    "grpc-message": expect.stringContaining("denied"),
  });
  expect(asked).toEqual(["GET /yes", "GET /no", "POST /no"]);
  const tls = await makeCertificate("api.test");
  const outside = await startOutside(undefined, tls, "127.0.0.2");
  const old = await startOpeningProxy({ port: outside.port, cert: tls.cert, policy, questions: ask() });
  const HTTP_1_1_REQUIRED = 13;
  expect((await requestStream(await old.session(), { ":path": "/yes" })).code).toBe(HTTP_1_1_REQUIRED);
});

test("a host that cannot be reached is named in the answer, and its GOAWAY or end reaches the program", async () => {
  const tls = await makeCertificate("else.test");
  const outside = await startOutside(undefined, tls, "127.0.0.2");
  const wrong = await startOpeningProxy({ port: outside.port, cert: tls.cert });
  const failed = await requestStream(await wrong.session(), { ":path": "/" });
  expect([failed.headers[":status"], failed.body]).toEqual([502, expect.stringContaining("altnames")]);
  const host = await startHost((stream, headers) => {
    if (headers[":path"] === "/goaway") {
      stream.session?.goaway();
      stream.respond({ ":status": 200 });
      stream.end("last");
    } else stream.session?.socket.destroy();
  });
  const leaving = await host.session();
  const goaway = once(leaving, "goaway");
  expect((await requestStream(leaving, { ":path": "/goaway" })).body).toBe("last");
  await goaway;
  const cut = await requestStream(await host.session(), { ":path": "/cut" });
  expect([cut.headers[":status"], cut.code]).not.toEqual([200, 0]);
});
