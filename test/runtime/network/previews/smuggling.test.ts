// @module-tag attack
import { createServer } from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { proxyFetch } from "../../../../src/runtime/network/previews/preview-fetch.ts";
import {
  type PreviewWay,
  proxyRequest,
  proxyUpgrade,
} from "../../../../src/runtime/network/previews/preview-proxy.ts";
import { answerFaultOf, HOSTILE_RESPONSES, startHostileServer } from "../../../support/hostile-responses.ts";
import { faultOf, startRecorder } from "../../../support/raw-recorder.ts";
import { exchange, exchangeAll, smugglingCorpus } from "../../../support/smuggling.ts";

const wayTo = (port: number): PreviewWay => ({
  port,
  connect: async () => net.connect(port, "127.0.0.1"),
  speaksTls: async () => false,
  ended: new AbortController().signal,
});

/** Starts a server that forwards every request and upgrade to an app, as a preview does. */
async function startPreview(app: number, path = "/a"): Promise<number> {
  const way = wayTo(app);
  const visit = { path, prefix: "/p" };
  const server = createServer((request, response) => void proxyRequest({ ...visit, request, response }, way));
  server.on(
    "upgrade",
    (request, socket, head) => void proxyUpgrade({ ...visit, request, socket, head }, way),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test("a request of the smuggling corpus reaches the app as one request or not at all", async () => {
  const { port, connections } = await startRecorder();
  await exchangeAll(await startPreview(port), smugglingCorpus("/x", "Host: x\r\n"));
  expect(connections.map(faultOf)).toEqual(connections.map(() => undefined));
  expect(connections.filter((bytes) => bytes.startsWith("TRACE"))).toEqual([]);
  // The recorder has seen the well-formed requests.
  expect(connections.length).toBeGreaterThan(20);
});

test("a hostile answer of an app reaches the browser as one answer or as an error", async () => {
  const port = await startHostileServer();
  for (const index of Array.from({ length: HOSTILE_RESPONSES }, (_, at) => at)) {
    const preview = await startPreview(port, `/${index}`);
    const answer = await exchange(preview, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100);
    expect([index, answerFaultOf(answer)]).toEqual([index, undefined]);
  }
});

test("a browser's other spelling of the server's own headers does not reach the app", async () => {
  const { port, connections } = await startRecorder();
  const forged = ["X_Forwarded_For", "x-forwarded_host", "X.Rivet.Token", "Content_Length", "Expect"];
  const fields = forged.map((name) => `${name}: 100-continue\r\n`).join("");
  await exchange(
    await startPreview(port),
    `GET / HTTP/1.1\r\nHost: x\r\nConnection: host, x-forwarded-for\r\nX-Forwarded-For: 192.0.2.1\r\n${fields}\r\n`,
  );
  const [bytes = ""] = connections;
  expect(bytes.toLowerCase()).not.toMatch(/_|\.rivet|expect|content/);
  expect(bytes).toContain("x-forwarded-for: 192.0.2.1, 127.0.0.1\r\n");
  expect(bytes).toContain(`host: localhost:${port}\r\n`);
});

test("TRACE, and an upgrade with a body or with another method, are refused with 400", async () => {
  const { port, connections } = await startRecorder();
  const preview = await startPreview(port);
  const upgrade = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
  for (const head of [
    "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    `POST / HTTP/1.1\r\n${upgrade}\r\n`,
    `GET / HTTP/1.1\r\n${upgrade}Content-Length: 3\r\n\r\nabc`,
    `GET / HTTP/1.1\r\n${upgrade}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ]) {
    expect([head, (await exchange(preview, head)).slice(9, 12)]).toEqual([head, "400"]);
  }
  expect(connections).toEqual([]);
});

test("an app that sends 102 for ever gets no further than a few", async () => {
  const app = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    const more = () => socket.write("HTTP/1.1 102 Processing\r\n\r\n".repeat(500), () => setImmediate(more));
    socket.once("data", more);
  });
  await new Promise<void>((done) => app.listen(0, "127.0.0.1", done));
  onTestFinished(() => void app.close());
  const { port } = app.address() as AddressInfo;
  const answer = await exchange(await startPreview(port), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 10_000);
  expect(answer).toContain('"preview_failed"');
  expect(answer).toContain("MAX_INTERIM_RESPONSES");
});

test("a Request whose body is longer or shorter than its Content-Length fails and reaches the app as one request", async () => {
  const { port, connections } = await startRecorder();
  for (const [length, body] of [
    ["2", "abGET /smuggled HTTP/1.1\r\n\r\n"],
    ["5", "ab"],
    ["x", "ab"],
    ["2", "ab"],
  ] as const) {
    const request = new Request("http://x/", { method: "POST", body, headers: { "content-length": length } });
    const { status } = await proxyFetch({ path: "/a", prefix: "/p", request }, wayTo(port));
    expect([length, body, status]).toEqual([
      length,
      body,
      length === "x" || (body.length === 2 && length === "2") ? 200 : 502,
    ]);
  }
  expect(connections.map(faultOf)).toEqual(connections.map(() => undefined));
});
