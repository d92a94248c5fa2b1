// @module-tag attack
import net from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Authorize } from "../../src/http/authorize.ts";
import { type FakeServer, startTestServer } from "../support/servers.ts";
import { wsClient } from "../support/ws-client.ts";

const HOST = "vms.example";

/** Admits a user by the cookie of the user's session, which a browser adds to the requests of any page. */
const byCookie: Authorize = ({ headers }) =>
  headers.get("cookie") === "session=alice"
    ? { identity: { user: "alice" }, vms: { prefix: "" }, may: ["admin"] }
    : null;

let server: FakeServer;
let actorId: string;
beforeAll(async () => {
  const options = { authorize: byCookie, allowedOrigins: ["https://app.example"] };
  server = await startTestServer({ kind: "fake", options });
  const headers = { cookie: "session=alice" };
  actorId = await server.client({ headers }).vm.getOrCreate("a").resolve();
});
afterAll(() => server.stop());

/** Sends a request as a browser does for a page, byte for byte, because fetch cannot forge these headers. */
async function statusOf(line: string, headers: Record<string, string>, body = ""): Promise<number> {
  const socket = net.connect(server.port, "127.0.0.1");
  const all = { Host: HOST, Cookie: "session=alice", Connection: "close", ...headers };
  const lines = Object.entries({ ...all, "Content-Length": `${body.length}` }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.write(`${[line, ...lines].join("\r\n")}\r\n\r\n${body}`);
  let answer = "";
  for await (const data of socket) answer += data;
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
}

const exec = (headers: Record<string, string>) =>
  statusOf(`POST /gateway/${actorId}/action/exec HTTP/1.1`, headers, '{"args":["echo hacked"]}');

/** Opens a connection as a page of an origin. @returns the reason for which it closes; "open" */
async function connectFrom(origin: string | undefined): Promise<string> {
  const socket = wsClient(`ws://127.0.0.1:${server.port}/gateway/${actorId}/connect`, ["rivet"], {
    ...(origin !== undefined && { origin }),
    headers: { cookie: "session=alice" },
  });
  const outcome = await new Promise<string>((resolve) => {
    socket.once("message", () => resolve("open"));
    socket.once("close", (_code: number, reason: Buffer) => resolve(reason.toString()));
    socket.once("error", (error: Error) => resolve(error.message));
  });
  socket.terminate();
  return outcome;
}

describe("the cookie of a user does not help a page of", () => {
  test.each<[string, Record<string, string>]>([
    ["another site", { Origin: "https://evil.example" }],
    ["another site that makes up a token", { Origin: "https://evil.example", Authorization: "Bearer x" }],
    ["a sandboxed frame", { Origin: "null" }],
    ["the server itself, which is a preview", { Origin: `https://${HOST}` }],
    ["a program on the user's machine", { Origin: "http://localhost:3000" }],
    ["another site, in a request without an origin", { "Sec-Fetch-Site": "cross-site" }],
    ["a sibling site, in a request without an origin", { "Sec-Fetch-Site": "same-site" }],
    ["the server itself, in a request without an origin", { "Sec-Fetch-Site": "same-origin" }],
  ])("%s", async (_name, headers) => {
    const ran = server.vms.ran.length;
    expect(await exec(headers)).toBe(403);
    expect(await statusOf("GET /vms?name=vm HTTP/1.1", headers)).toBe(403);
    expect(server.vms.ran).toHaveLength(ran);
  });

  test("another site, by a WebSocket", async () => {
    expect(await connectFrom("https://evil.example")).toBe("user.forbidden_origin");
  });
});

test("the cookie helps pages of allowed origins, programs, and the address bar", async () => {
  for (const headers of [{ Origin: "https://app.example" }, {}, { "Sec-Fetch-Site": "none" }]) {
    expect(await exec(headers as Record<string, string>)).toBe(200);
  }
  for (const origin of ["https://app.example", undefined]) expect(await connectFrom(origin)).toBe("open");
});

test("a server that is used on loopback alone answers other loopback pages", async () => {
  const host = `localhost:${server.port}`;
  expect(await exec({ Host: host, Origin: "http://localhost:3000" })).toBe(200);
  expect(await exec({ Host: host, Origin: `http://${host}` })).toBe(403);
});
