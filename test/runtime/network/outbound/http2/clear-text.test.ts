import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { requestStream, SECRET, startOpeningProxy } from "../../../../support/opening-proxy.ts";
import { startOutside } from "../../../../support/outside.ts";

/** Starts a host `http://api.test` that speaks HTTP/2 without TLS, and a proxy in front of it. */
async function startClearHost(serve: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void) {
  const server = createServer();
  server.on("session", (session) => onTestFinished(() => session.destroy()));
  server.on("stream", serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.2", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return await startOpeningProxy({
    port,
    cert: "",
    secret: { hosts: [`http://api.test:${port}`], mask: true },
  });
}

test("HTTP/2 without TLS gets the secret, and its body and trailers are masked", async () => {
  const { clearSession } = await startClearHost((stream, headers) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "x-seen": String(headers.authorization) }));
    stream.end(JSON.stringify([headers[":scheme"], headers[":path"], headers.authorization]));
  });
  const session = await clearSession();
  const { headers, body, trailers } = await requestStream(session, { ":path": "/x", authorization: "mine" });
  const masked = `Bearer ${"*".repeat(SECRET.length)}`;
  expect(headers[":status"]).toBe(200);
  expect(JSON.parse(body)).toEqual(["http", "/x", masked]);
  expect(trailers["x-seen"]).toBe(masked);
});

test("HTTP/2 without TLS carries no request to another host", async () => {
  const { clearSession } = await startClearHost((stream) => stream.respond({}, { endStream: true }));
  const session = await clearSession();
  const { headers } = await requestStream(session, { ":path": "/", ":authority": "other.test" });
  expect(headers[":status"]).toBe(421);
});

test("a host that speaks HTTP/1.1 only ends HTTP/2 without TLS with an answer that says so", async () => {
  const { port } = await startOutside(undefined, undefined, "127.0.0.2");
  const secret = { hosts: [`http://api.test:${port}`] };
  const { clearSession } = await startOpeningProxy({ port, cert: "", secret });
  const { headers, body } = await requestStream(await clearSession(), { ":path": "/" });
  expect([headers[":status"], body]).toEqual([
    502,
    "agent-vm: the host closed the connection without an answer\n",
  ]);
});
