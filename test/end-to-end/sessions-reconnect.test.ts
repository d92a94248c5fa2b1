import { expect, onTestFinished, test } from "vitest";
import type { VmHandle } from "../../src/client/types.ts";
import { ask, brief, open } from "../support/scripted.ts";
import { startSessionServer } from "../support/servers.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

/** Follows a session as a client should: orders live events by number, and reads missed events after each opening. */
function follow(vm: VmHandle, sessionId: string) {
  const texts: string[] = [];
  /** Events that arrived before an event with a smaller number. */
  const early = new Map<number, string>();
  let next = 0;
  const take = (number: number, text: string) => {
    if (number < next) return;
    early.set(number, text);
    for (let found = early.get(next); found !== undefined; found = early.get(next)) {
      early.delete(next);
      texts.push(found);
      next += 1;
    }
  };
  const conn = vm.connect();
  conn.on("sessionEvent", ({ sessionId: of, event, sequenceNumber }) => {
    if (of === sessionId) take(sequenceNumber, brief(event));
  });
  let opened = 0;
  conn.onOpen(async () => {
    opened += 1;
    const missed = await conn.getSequencedEvents(sessionId, { since: next - 1 }).catch(() => []);
    for (const { sequenceNumber, notification } of missed) take(sequenceNumber, brief(notification));
  });
  return { conn, texts, opened: () => opened };
}

test("a client whose connection breaks again and again misses nothing and sees nothing twice", {
  tags: ["slow"],
}, async () => {
  const { server, vm, another } = await startSessionServer();
  const proxy = await tcpProxy(server.port);
  onTestFinished(() => proxy.close());
  const id = await open(vm);
  const follower = follow(another(proxy.endpoint), id);
  await until(() => follower.opened() === 1);
  let done = false;
  const turns = (async () => {
    for (let turn = 0; turn < 30; turn++) await ask(vm, id, `flood 500; say ${turn}`);
    done = true;
  })();
  let cuts = 0;
  while (!done) {
    const opened = follower.opened();
    const received = follower.texts.length;
    proxy.cut();
    cuts += 1;
    await until(() => follower.opened() > opened && (done || follower.texts.length > received));
  }
  await turns;
  const all = (await vm.getSessionEvents(id)).map(({ event }) => brief(event));
  await until(() => follower.texts.length === all.length);
  expect(follower.texts).toEqual(all);
  expect(all).toHaveLength(30 * 502);
  expect(cuts).toBeGreaterThan(1);
});

test("a prompt outlasts its client's connection, and its answer arrives on the next connection", async () => {
  const { server, vm, another } = await startSessionServer();
  const proxy = await tcpProxy(server.port);
  onTestFinished(() => proxy.close());
  const id = await open(vm);
  const conn = another(proxy.endpoint).connect();
  const turn = conn.sendPrompt(id, "say before; touch /tmp/started; await /tmp/go; say  after");
  await until(() => vm.exists("/tmp/started"));
  proxy.cut();
  await vm.writeFile("/tmp/go", "");
  expect((await turn).text).toBe("beforeafter");
});

test("a prompt whose client is gone for good runs to its end", { tags: ["slow"] }, async () => {
  const { vm, another } = await startSessionServer();
  const id = await open(vm);
  const conn = another().connect();
  const turn = conn.sendPrompt(id, "say half; touch /tmp/started; await /tmp/go; say  whole");
  turn.catch(() => undefined);
  await until(() => vm.exists("/tmp/started"));
  await conn.dispose();
  await vm.writeFile("/tmp/go", "");
  await until(async () => (await vm.getSession(id)).status === "idle");
  expect((await vm.getSessionEvents(id)).map(({ event }) => brief(event)).slice(1)).toEqual([
    "half",
    "whole",
  ]);
});
