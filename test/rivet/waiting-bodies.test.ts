// @module-tag attack
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { withDecodableBody } from "../../src/rivet/request-bodies.ts";
import { countLoad } from "../../src/rivet/undecoded.ts";
import { WaitingBodies } from "../../src/rivet/waiting-bodies.ts";

test("bodies that wait are bounded together, and each client has a small part at any time", () => {
  const bodies = new WaitingBodies(1000, 100);
  const held = Array.from({ length: 5 }, () => bodies.hold("loud", 220));
  expect(() => bodies.hold("loud", 1)).toThrow("MAX_WAITING_BODY_BYTES");
  const release = bodies.hold("witness", 100);
  expect(() => bodies.hold("witness", 1)).toThrow("MAX_WAITING_BODY_BYTES");
  release();
  held[0]?.();
  held.push(bodies.hold("loud", 220));
  for (const each of held.slice(1)) each();
  bodies.hold("loud", 1100);
});

test("calls with empty bodies give a client no further small part", () => {
  const bodies = new WaitingBodies(100, 100);
  const [first, second] = [bodies.hold("loud", 0), bodies.hold("loud", 0)];
  first();
  bodies.hold("loud", 200);
  second();
  expect(() => bodies.hold("loud", 1)).toThrow("MAX_WAITING_BODY_BYTES");
});

const BODY = Buffer.from(JSON.stringify({ args: ["/file", "x".repeat(30 << 20)] }));

/** Hands over a call with a body of 30 MiB. @param pass does what RivetKit does with the call */
function callWith<Result>(client: string, pass: () => Promise<Result>): Promise<Result> {
  const request = new IncomingMessage(new Socket());
  request.method = "POST";
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const handOn = () => pass().then(resolve, reject);
  withDecodableBody(request, new ServerResponse(request), "/gateway/a/action/exists", handOn, reject, client);
  request.push(BODY);
  request.push(null);
  return promise;
}

test("calls with large bodies that wait for the start of a VM are refused past the limit, and leave other clients their part", async () => {
  const started = Promise.withResolvers<string>();
  // RivetKit loads the actor of the call in the turn of the request.
  const call = (client: string) => callWith(client, () => countLoad(() => started.promise));
  // 288 MiB hold nine of them.
  const waiting = Array.from({ length: 9 }, () => call("loud"));
  await expect(call("loud")).rejects.toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_WAITING_BODY_BYTES" },
  });
  waiting.push(call("witness"));
  started.resolve("started");
  expect(await Promise.all(waiting)).toEqual(Array(10).fill("started"));
  expect(await call("loud")).toBe("started");
});

test("a call with a large body may call many VMs itself", async () => {
  const load = () => countLoad(async () => "loaded");
  const called = await callWith("own", async () => {
    await load();
    return await Promise.all(Array.from({ length: 20 }, load));
  });
  expect(called).toEqual(Array(20).fill("loaded"));
});
