// @module-tag attack
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import type { AgentVmError } from "../../src/api/errors.ts";
import { withDecodableBody } from "../../src/rivet/request-bodies.ts";
import { heldBytes } from "../support/heap.ts";
import { makeActor } from "../support/plain-actor.ts";
import { sharedServer } from "../support/servers.ts";

const server = sharedServer();

const PIECES = 1_000_000;

test("a body in pieces of one byte is held in as much memory as it has bytes", async () => {
  const request = new IncomingMessage(new Socket());
  request.method = "POST";
  let passed = false;
  const pass = () => {
    passed = true;
  };
  withDecodableBody(request, new ServerResponse(request), "/gateway/a/action/exists", pass, (error) => {
    throw error;
  });
  const before = heldBytes();
  request.push(Buffer.from('{"args":["'));
  // Node's parser hands over parts of what it has read at once.
  for (let pieces = 0; pieces < PIECES; pieces += 10_000) {
    const read = Buffer.alloc(10_000, "x");
    for (let at = 0; at < read.length; at++) request.push(read.subarray(at, at + 1));
  }
  expect(heldBytes() - before).toBeLessThan(5 * PIECES);
  request.push(Buffer.from('"]}'));
  expect(passed).toBe(false);
  request.push(null);
  expect(passed).toBe(true);
  const body = Buffer.concat(await request.toArray());
  expect(JSON.parse(body.toString())).toEqual({ args: ["x".repeat(PIECES)] });
});

const DECODED = [
  "/action/exists",
  "/action/exists/",
  "/action/exists?a=/request/",
  "/action/request/",
  "/queue/request",
  "/queue/a/",
  "/queue",
  "/queue/",
];

test.each(DECODED)("a body that cannot be decoded is refused at %s", async (path) => {
  const { endpoint } = server();
  const url = `${endpoint}/gateway/${await makeActor(server(), "bodies")}${path}`;
  const answer = await fetch(url, { method: "POST", body: "{" });
  expect([answer.status, await answer.json()]).toMatchObject([400, { code: "invalid_argument" }]);
});

test.each([
  ...DECODED.map((path) => `/gateway/a${path}`),
  "/gateway/a@token/action/exists/",
  "/action/exists/",
  "/actors",
  "/actors/",
  "/anything/else",
])("a body with too many values is refused at %s, before RivetKit has it", (target) => {
  const request = new IncomingMessage(new Socket());
  request.method = "PUT";
  const path = target.split("?")[0] as string;
  const refusals: AgentVmError[] = [];
  const pass = () => {
    throw new Error("passed");
  };
  withDecodableBody(request, new ServerResponse(request), path, pass, (error) => refusals.push(error));
  request.push(Buffer.from(`{"args":[${"1,".repeat(100_000)}1]}`));
  request.push(null);
  expect(refusals.map(({ code }) => code)).toEqual(["invalid_argument"]);
});

test.each(["/gateway/a/request", "/gateway/a/request/action/x", "/gateway/a@token/request/x"])(
  "a body for %s goes to the actor unread",
  (path) => {
    const request = new IncomingMessage(new Socket());
    request.method = "POST";
    let passed = false;
    const pass = () => {
      passed = true;
    };
    withDecodableBody(request, new ServerResponse(request), path, pass, (error) => {
      throw error;
    });
    expect(passed).toBe(true);
  },
);
