// @module-tag attack
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { withDecodableBody } from "../../src/rivet/request-bodies.ts";
import { heldBytes } from "../support/heap.ts";

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
