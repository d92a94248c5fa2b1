// @module-tag attack
import { expect, test } from "vitest";
import { HeldArguments } from "../../src/actors/held-arguments.ts";
import { BytePool, ByteShare } from "../../src/base/byte-share.ts";
import { makeActor } from "../support/plain-actor.ts";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

test("running calls of a VM hold a bounded number of bytes, and leave other VMs their part", () => {
  const pool = new BytePool(1000 * KIB);
  const vm = () => {
    const memory = new ByteShare({ most: 2000 * KIB, small: 100 * KIB, pool });
    return { memory, held: new HeldArguments(memory) };
  };
  const [loud, witness] = [vm(), vm()];
  const content = new Uint8Array(200 * KIB);
  const calls = Array.from({ length: 5 }, () => loud.held.hold(["/file", content]));
  expect(() => loud.held.hold(["/file", content])).toThrow("MAX_SERVER_HELD_ARGUMENT_BYTES");
  // A small call does not count.
  loud.held.hold(["ls", {}]).release();
  witness.held.hold(["/file", new Uint8Array(90 * KIB)]).release();
  for (const call of [...calls, ...calls]) call.release();
  expect([loud.memory.bytes, witness.memory.bytes, pool.bytes]).toEqual([0, 0, 0]);
});

test("stdin that has reached the VM does not count", () => {
  const memory = new ByteShare({ most: MIB, small: 0, pool: new BytePool(MIB) });
  const options: { stdin?: string } = { stdin: "x".repeat(500 * KIB) };
  const held = new HeldArguments(memory).hold(["cat", options]);
  expect(memory.bytes).toBeGreaterThan(500 * KIB);
  delete options.stdin;
  held.changed();
  expect(memory.bytes).toBeLessThan(KIB);
  held.release();
  expect(memory.bytes).toBe(0);
});

test("calls with large arguments that wait are refused past the limit", { tags: ["slow"] }, async () => {
  const server = await startTestServer({ kind: "fake" });
  const actorId = await makeActor(server);
  const url = `${server.endpoint}/gateway/${actorId}/action`;
  await fetch(`${url}/exec`, { method: "POST", body: JSON.stringify({ args: ["true"] }) });
  const fake = server.vms.all.at(-1) as unknown as { writeFile(): Promise<void> };
  const open = Promise.withResolvers<void>();
  fake.writeFile = () => open.promise;
  const body = JSON.stringify({ args: ["/file", "x".repeat(28 * MIB)] });
  const write = async () => (await fetch(`${url}/writeFile`, { method: "POST", body })).json();
  const codes: unknown[] = [];
  const calls = Array.from({ length: 11 }, async () => {
    const { code } = (await write()) as { code?: string };
    codes.push(code ?? "ok");
  });
  await until(() => codes.length === 2);
  expect(codes).toEqual(["limit_exceeded", "limit_exceeded"]);
  open.resolve();
  await Promise.all(calls);
  expect(codes.slice(2)).toEqual(Array(9).fill("ok"));
  expect(await write()).not.toHaveProperty("code");
});
