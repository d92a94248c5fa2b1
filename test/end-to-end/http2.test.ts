import { once } from "node:events";
import { connect } from "node:http2";
import net from "node:net";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { startTestServer, type TestServer } from "../support/servers.ts";
import { readAll } from "../support/tcp.ts";
import { startHttpServer } from "../support/vm-servers.ts";

let server: TestServer;
let vm: VmHandle;

/** A unary gRPC method by hand: one message of five bytes of head and a body, and the status in a trailer. */
const GRPC_SERVER = `
require("node:http2").createServer().on("stream", (stream, headers) => {
  const pieces = [];
  stream.on("data", (piece) => pieces.push(piece));
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-path": headers[":path"] }));
    stream.end(Buffer.concat(pieces));
  });
}).listen(50051);
`;

beforeAll(async () => {
  server = await startTestServer({ kind: "kernel" });
  vm = server.client().vm.getOrCreate("http2");
  await vm.spawn("node", ["-e", GRPC_SERVER]);
  await vm.waitForPort(50051);
});
afterAll(() => server.stop());

test("a tunnel carries HTTP/2 and gRPC, many calls over one connection", async () => {
  await using tunnel = await vm.tunnel({ port: 50051 });
  const session = connect(`http://${tunnel.host}:${tunnel.port}`);
  // The end of the tunnel resets the connection.
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  const call = async (method: string, text: string) => {
    const stream = session.request({
      ":method": "POST",
      ":path": method,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const head = Buffer.alloc(5);
    head.writeUInt32BE(text.length, 1);
    stream.end(Buffer.concat([head, Buffer.from(text)]));
    const trailers = once(stream, "trailers");
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    const [{ "grpc-status": status, "grpc-path": path }] = (await trailers) as [Record<string, string>];
    return [Buffer.concat(pieces).subarray(5).toString(), status, path];
  };
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => call(`/demo.Echo/M${n}`, `message ${n}`)),
  );
  expect(answers).toEqual(answers.map((_, n) => [`message ${n}`, "0", `/demo.Echo/M${n}`]));
});

test("vmFetch and previews of a port that speaks only HTTP/2 say so", async () => {
  await expect(vm.vmFetch(50051, "/")).rejects.toMatchObject({ code: "http2_not_supported" });
  const { pathUrl } = await vm.createSignedPreviewUrl(50051);
  const response = await fetch(pathUrl);
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ code: "http2_not_supported" });
});

test("a client that begins with HTTP/2 on the server's port gets the reason", async () => {
  const session = connect(server.endpoint);
  onTestFinished(() => session.destroy());
  session.on("error", () => undefined);
  const [code, , text] = (await once(session, "goaway")) as [number, number, Buffer];
  expect([code, text.toString()]).toEqual([13, expect.stringContaining("tunnel()")]);
});

test("a request that cannot be read is still refused with 400", async () => {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write("nonsense\r\n\r\n");
  expect(String(await readAll(socket))).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n\r\n$/);
});

test("a client that offers HTTP/2 by an upgrade gets its answer over HTTP/1.1, from the server and from an app", async () => {
  await startHttpServer(vm, 3000);
  const { pathUrl } = await vm.createSignedPreviewUrl(3000);
  const path = new URL(pathUrl).pathname;
  const ask = async (line: string, body = "") => {
    const socket = net.connect(server.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const upgrade = [
      "Connection: Upgrade, HTTP2-Settings, close",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABk",
    ];
    const head = [`${line} HTTP/1.1`, "Host: 127.0.0.1", ...upgrade, `Content-Length: ${body.length}`];
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
    return (await readAll(socket)).toString();
  };
  for (const target of ["/vms?name=vm", "/metadata", "/health/live", "/actors?name=vm"])
    expect(await ask(`GET ${target}`), target).toMatch(/^HTTP\/1\.1 200 /);
  const answer = await ask(`POST ${path}a`, "content");
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).toContain('"body":"content"');
  expect(answer).not.toMatch(/upgrade|http2-settings/i);
});
