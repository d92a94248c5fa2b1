// @module-tag attack
import net from "node:net";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connectHttp } from "../../support/mcp.ts";
import { startTestServer, type TestServer } from "../../support/servers.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const MIB = 1024 * 1024;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ kind: "kernel", vm: { runtime: "memory" }, options: { token: TOKEN } });
});
afterAll(() => server.stop());

const HEAD = [
  "POST /mcp HTTP/1.1",
  "Host: x",
  "Content-Type: application/json",
  "Accept: application/json, text/event-stream",
];

/** Sends the head of a request and a part of its body. @returns the answer so far, which grows, and `closed` when it is cut */
async function begin(token: string, length: number, part: Buffer | string): Promise<() => string> {
  let answer = "";
  const socket = net.connect(server.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.on("close", () => {
    answer += "closed";
  });
  socket.on("data", (data) => {
    answer += data;
  });
  const head = [...HEAD, `Authorization: Bearer ${token}`, `Content-Length: ${length}`];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await new Promise((resolve) => void socket.once("close", resolve).write(part, resolve));
  return () => answer;
}

test("a message of too many values is refused before it is read", async () => {
  const many = (count: number) =>
    `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[${"[],".repeat(count)}0]}}`;
  const body = many(100_000);
  const answer = await begin(TOKEN, body.length, body);
  await expect.poll(answer).toContain("HTTP/1.1 400");
  expect(answer()).toContain("MAX_CALL_VALUES");
  const { text } = await connectHttp(server.endpoint, "?vm=large", TOKEN);
  const content = `$${"x".repeat(MIB)}`;
  expect(await text("write_file", { path: "large", content })).toContain("Wrote");
});

test("a client has few open requests without a session", async () => {
  const { token } = await server.client({ token: TOKEN }).tokens.create({ vms: "a", may: ["read"] });
  const answers: (() => string)[] = [];
  for (let count = 0; count < 33; count++) answers.push(await begin(token, 100, "{"));
  await expect
    .poll(() => answers.filter((answer) => answer().includes("MAX_MCP_OPEN_REQUESTS")).length)
    .toBe(1);
  const other = await connectHttp(server.endpoint, "?vm=other", TOKEN);
  expect((await other.client.listTools()).tools.length).toBeGreaterThan(0);
});

test("bodies without their end count as backlog of their clients", { tags: ["slow"] }, async () => {
  const part = Buffer.alloc(15 * MIB, "a").fill('"', 0, 1);
  const answers: (() => string)[] = [];
  for (let count = 0; count < 24; count++) {
    const { token } = await server.client({ token: TOKEN }).tokens.create({ vms: `${count}`, may: ["read"] });
    answers.push(await begin(token, 16 * MIB - 1, part));
  }
  await expect.poll(() => answers.some((answer) => answer().endsWith("closed"))).toBe(true);
});
