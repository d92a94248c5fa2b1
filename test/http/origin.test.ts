// @module-tag attack
import net from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FakeServer, startTestServer } from "../support/servers.ts";

let server: FakeServer;
let actorId: string;

beforeAll(async () => {
  server = await startTestServer({ kind: "fake", options: { allowedOrigins: ["https://app.example"] } });
  actorId = await server.client().vm.getOrCreate("open").resolve();
});
afterAll(() => server.stop());

/** Sends a request byte for byte, because fetch cannot forge these headers. */
async function raw(lines: string[], body = ""): Promise<string> {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.write(
    `${[...lines, `Content-Length: ${body.length}`, "Connection: close"].join("\r\n")}\r\n\r\n${body}`,
  );
  let answer = "";
  for await (const data of socket) answer += data;
  return answer;
}

const status = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
const exec = () => `POST /gateway/${actorId}/action/exec HTTP/1.1`;
const COMMAND = '{"args":["echo hacked"]}';

describe("a server without a token refuses a web page's attack:", () => {
  test("a JSON body as text/plain, which needs no preflight", async () => {
    const answer = await raw(
      [exec(), `Host: 127.0.0.1:${server.port}`, "Origin: https://evil.example", "Content-Type: text/plain"],
      COMMAND,
    );
    expect(status(answer)).toBe(403);
    expect(answer).toContain("forbidden_origin");
  });

  test("a name that resolves to 127.0.0.1 (DNS rebinding)", async () => {
    const answer = await raw([exec(), `Host: evil.example:${server.port}`], COMMAND);
    expect(status(answer)).toBe(403);
  });

  test("a form of a sandboxed frame, whose origin is null", async () => {
    expect(status(await raw([exec(), "Host: localhost", "Origin: null"], COMMAND))).toBe(403);
  });

  test("an image that would wake an actor", async () => {
    const answer = await raw([
      `GET /gateway/${actorId}/ HTTP/1.1`,
      "Host: localhost",
      "Sec-Fetch-Site: cross-site",
    ]);
    expect(status(answer)).toBe(403);
  });

  test.each(["GET /actors?name=vm HTTP/1.1", "PUT /actors HTTP/1.1", "POST /actors HTTP/1.1"])(
    "%s",
    async (line) => {
      const body = '{"name":"vm","key":"evil","runner_name_selector":"default","crash_policy":"sleep"}';
      const headers = ["Host: localhost", "Origin: https://evil.example", "Content-Type: application/json"];
      expect(status(await raw([line, ...headers], body))).toBe(403);
    },
  );

  test("a WebSocket from another site is closed", async () => {
    const upgrade = [
      `GET /gateway/${actorId}/connect HTTP/1.1`,
      "Host: localhost",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol: rivet",
      "Origin: https://evil.example",
    ];
    const socket = net.connect(server.port, "127.0.0.1");
    socket.write(`${upgrade.join("\r\n")}\r\n\r\n`);
    let answer = "";
    for await (const data of socket) {
      answer += data.toString("latin1");
      if (answer.includes("user.forbidden_origin")) break;
    }
    expect(answer).toContain("user.forbidden_origin");
  });

  test("no attack ran a command or made an actor", async () => {
    expect(server.vms.ran).toEqual([]);
    expect(server.vms.all).toHaveLength(1);
  });
});

test("finds no actor for an id that leads out of the data folder", async () => {
  const answer = await raw(["GET /gateway/..%2f..%2fetc%2fpasswd/health HTTP/1.1", "Host: localhost"]);
  expect(status(answer)).toBe(400);
  const listed = await raw(["GET /actors?name=vm&actor_ids=..%2f..%2fx HTTP/1.1", "Host: localhost"]);
  expect(status(listed)).toBe(400);
  const byId = await raw(["GET /actors?actor_ids=..%2f..%2fx HTTP/1.1", "Host: localhost"]);
  expect(byId).toContain('{"actors":[]}');
});

test("an upgrade request that cannot be parsed does not end the server", async () => {
  const answer = await raw([
    "GET // HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ]);
  expect(answer).toMatch(/^HTTP\/1\.1 400/);
  expect(status(await raw(["GET /health HTTP/1.1", "Host: localhost"]))).toBe(200);
});

describe("a server without a token answers a page of", () => {
  test.each([["http://localhost:3000"], ["https://app.example"]])("%s", async (origin) => {
    const answer = await raw(
      [exec(), "Host: localhost", `Origin: ${origin}`, "Content-Type: application/json"],
      '{"args":["echo hi"]}',
    );
    expect(status(answer)).toBe(200);
    expect(answer).toContain('"stdout":"hi\\n"');
  });
});
