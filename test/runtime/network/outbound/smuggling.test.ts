// @module-tag attack
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { CredentialRules } from "../../../../src/runtime/network/outbound/credentials/rules.ts";
import { OutboundGate } from "../../../../src/runtime/network/outbound/gate.ts";
import { NetworkLog } from "../../../../src/runtime/network/outbound/log.ts";
import { OutboundProxy } from "../../../../src/runtime/network/outbound/proxy.ts";
import { answerFaultOf, HOSTILE_RESPONSES, startHostileServer } from "../../../support/hostile-responses.ts";
import { faultOf, startRecorder } from "../../../support/raw-recorder.ts";
import { exchange, exchangeAll, smugglingCorpus } from "../../../support/smuggling.ts";

/** Starts a proxy on this machine's loopback that may reach one port there and adds a credential. */
async function startProxy(port: number): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const gate = new OutboundGate({ allow: [`127.0.0.1:${port}`] }, new NetworkLog(() => undefined));
  const credentials = new CredentialRules({ [`http://127.0.0.1:${port}`]: { "X-Api-Key": "SECRET" } }, {});
  const proxy = new OutboundProxy(server, {
    gate,
    ownerOf: async () => undefined,
    credentials: () => credentials,
  });
  onTestFinished(() => {
    proxy.close();
    gate.close();
  });
  return proxy.port;
}

test("a request of the smuggling corpus reaches the outside as one request or not at all", async () => {
  const { port, connections } = await startRecorder();
  const proxy = await startProxy(port);
  const corpus = smugglingCorpus(`http://127.0.0.1:${port}/a`, "Host: x\r\n");
  await exchangeAll(proxy, corpus);
  expect(connections.map(faultOf)).toEqual(connections.map(() => undefined));
  // The hidden request names no absolute URL, so the proxy must not forward it as a request either.
  expect(connections.filter((bytes) => /^\S+ \/smuggled/.test(bytes))).toEqual([]);
  expect(connections.filter((bytes) => bytes.startsWith("TRACE"))).toEqual([]);
  // The recorder has seen the well-formed requests.
  expect(connections.length).toBeGreaterThan(20);
});

test("a hostile answer of an outside server reaches the program as one answer or as an error", async () => {
  const port = await startHostileServer();
  const proxy = await startProxy(port);
  const answers = await exchangeAll(
    proxy,
    Array.from(
      { length: HOSTILE_RESPONSES },
      (_, index) => `GET http://127.0.0.1:${port}/${index} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ),
  );
  expect(answers.map(answerFaultOf)).toEqual(answers.map(() => undefined));
});

test("a program's other spelling of an added header, a frame or Host does not reach the outside", async () => {
  const { port, connections } = await startRecorder();
  const proxy = await startProxy(port);
  const forged = ["x-api-key", "X_API_KEY", "x_api-Key", "X.Api.Key", "Content_Length", "Transfer_Encoding"];
  const fields = forged.map((name) => `${name}: forged\r\n`);
  await exchange(
    proxy,
    `GET http://127.0.0.1:${port}/a HTTP/1.1\r\nHost: forged\r\nConnection: host, x-api-key\r\n${fields.join("")}X-Kept: 1\r\n\r\n`,
  );
  expect(connections).toEqual([
    `GET /a HTTP/1.1\r\nx-kept: 1\r\nhost: 127.0.0.1:${port}\r\nx-api-key: SECRET\r\nConnection: close\r\n\r\n`,
  ]);
});

test("TRACE is refused, so no server shows a program the added headers", async () => {
  const { port, connections } = await startRecorder();
  const proxy = await startProxy(port);
  const answer = await exchange(proxy, `TRACE http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect([answer.slice(9, 12), connections]).toEqual(["405", []]);
});

test("a request target with a fragment is refused, so no path has two readings", async () => {
  const { port, connections } = await startRecorder();
  const proxy = await startProxy(port);
  const answer = await exchange(proxy, `GET http://127.0.0.1:${port}/a#/../b HTTP/1.1\r\nHost: x\r\n\r\n`);
  expect([answer.slice(9, 12), connections]).toEqual(["400", []]);
});

test("the body of a request with a frame arrives whole, whatever its method", async () => {
  const { port, connections } = await startRecorder();
  const proxy = await startProxy(port);
  for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
    connections.length = 0;
    const line = `${method} http://127.0.0.1:${port}/a HTTP/1.1\r\nHost: x\r\n`;
    await exchange(proxy, `${line}Content-Length: 3\r\n\r\nabc`);
    await exchange(proxy, `${line}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`);
    expect(connections.map((bytes) => bytes.slice(bytes.indexOf("\r\n\r\n") + 4))).toEqual([
      "abc",
      "3\r\nabc\r\n0\r\n\r\n",
    ]);
  }
});

test("a program that sends many requests without waiting for their answers loses its connection", async () => {
  const { promise: isHeard, resolve: heard } = Promise.withResolvers<void>();
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => heard());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const program = net.connect(await startProxy(port), "127.0.0.1");
  onTestFinished(() => void program.destroy());
  program.on("error", () => undefined);
  const cut = new Promise<void>((done) => program.once("close", () => done()));
  const get = `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
  program.write(get.repeat(16));
  await isHeard;
  expect(program.destroyed).toBe(false);
  program.write(get);
  await cut;
});

test("a packet of thousands of requests of a program is not read to its end", async () => {
  const { port } = await startRecorder(0);
  const program = net.connect(await startProxy(port), "127.0.0.1");
  onTestFinished(() => void program.destroy());
  program.on("error", () => undefined);
  let read = 0;
  const count = () => {
    read += 1;
  };
  subscribe("http.server.request.start", count);
  onTestFinished(() => void unsubscribe("http.server.request.start", count));
  program.write(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(1_000));
  await new Promise((done) => program.once("close", done));
  expect(read).toBeLessThan(100);
});

test("16 requests that a program sends at once are all answered, again and again", async () => {
  const { port } = await startRecorder(0);
  const program = net.connect(await startProxy(port), "127.0.0.1");
  onTestFinished(() => void program.destroy());
  let answers = "";
  program.on("data", (data) => {
    answers += data.toString("latin1");
  });
  const get = `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
  for (const round of [1, 2, 3]) {
    program.write(get.repeat(16));
    await expect.poll(() => answers.split("HTTP/1.1 200").length - 1).toBe(16 * round);
  }
});

test.each([102, 103, 100])("a server that sends %i for ever gets no further than a few", async (status) => {
  const interim = `HTTP/1.1 ${status} Wait\r\n\r\n`.repeat(500);
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve());
    const more = () => socket.write(interim, () => setImmediate(more));
    socket.once("data", more);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const answer = await exchange(
    await startProxy(port),
    `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`,
    10_000,
  );
  expect(answer).toContain("MAX_INTERIM_RESPONSES");
  await cut;
});
