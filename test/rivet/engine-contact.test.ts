// @module-tag slow
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Runner } from "@rivetkit/engine-runner";
import { expect, onTestFinished, test } from "vitest";
import { hasContact, isCutOff, missEngine } from "../../src/rivet/engine-contact.ts";
import { startEngine } from "../support/engine.ts";
import { newRunner, startRunner } from "../support/engine-runner.ts";
import { startLossy } from "../support/lossy.ts";

missEngine(Runner.prototype as never);

test("a runner whose engine falls silent closes its connection, and has contact again when the engine answers", async (context) => {
  const engine = await startEngine(context);
  const relay = await startLossy(Number(new URL(engine.endpoint).port));
  expect([hasContact(), isCutOff()]).toEqual([false, false]);
  await startRunner({ ...engine, endpoint: relay.endpoint });
  expect([hasContact(), isCutOff()]).toEqual([true, false]);
  const before = relay.connections;
  relay.lose(true);
  await expect.poll(() => [hasContact(), isCutOff()]).toEqual([false, true]);
  await expect.poll(() => relay.connections).toBeGreaterThan(before);
  relay.lose(false);
  await expect.poll(() => [hasContact(), isCutOff()]).toEqual([true, false]);
});

test("a runner with nothing to do stays on one connection past the lost threshold of its engine", async (context) => {
  const engine = await startEngine(context);
  const relay = await startLossy(Number(new URL(engine.endpoint).port));
  const { runner } = await startRunner({ ...engine, endpoint: relay.endpoint });
  const before = relay.connections;
  const lostMs = Number(runner.getProtocolMetadata()?.runnerLostThreshold);
  await delay(lostMs + 3_000);
  expect([relay.connections, hasContact()]).toEqual([before, true]);
});

test("a runner whose engine does not accept its connection tries again", async () => {
  let connections = 0;
  // It answers nothing.
  const server = createServer((socket) => {
    connections += 1;
    onTestFinished(() => void socket.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const runner = newRunner({ endpoint: `http://127.0.0.1:${port}` });
  await runner.start();
  await expect.poll(() => connections).toBeGreaterThan(1);
});
