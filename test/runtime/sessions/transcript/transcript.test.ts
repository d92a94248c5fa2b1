import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { BytePool, ByteShare } from "../../../../src/base/byte-share.ts";
import { Transcript } from "../../../../src/runtime/sessions/transcript/transcript.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { faultyStore } from "../../../support/faulty-store.ts";
import { failure } from "../../../support/until.ts";

test("a thousand events of one write are sent in order, over many turns of the event loop", async () => {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  const sent: number[] = [];
  const perTurn = new Map<number, number>();
  const memory = new ByteShare({ most: 1e6, small: 1e6, pool: new BytePool(0) });
  const transcript = new Transcript(new MemoryStore(), "session", memory, ({ seq }) => {
    sent.push(seq);
    perTurn.set(turns, (perTurn.get(turns) ?? 0) + 1);
    // About the time to send one event to a few clients.
    for (const end = performance.now() + 0.5; performance.now() < end; );
  });
  count();
  for (let index = 0; index < 1000; index++) transcript.append({ jsonrpc: "2.0", method: `${index}` });
  expect(memory.bytes).toBeGreaterThan(0);
  await transcript.flushed();
  expect(memory.bytes).toBe(0);
  isOver = true;
  expect(sent).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  expect(Math.max(...perTurn.values())).toBeLessThan(50);
});

test("everybody who waits for the events hears that they could not be stored, or else the next one, and nobody later", async () => {
  let isBroken = true;
  const store = faultyStore(new MemoryStore(), (_call, method) =>
    method === "put" && isBroken ? "error" : "none",
  );
  const memory = new ByteShare({ most: 1e6, small: 1e6, pool: new BytePool(0) });
  const transcript = new Transcript(store, "session", memory, () => undefined);
  const lose = () => transcript.append({ jsonrpc: "2.0", method: "lost" });
  lose();
  const waiting = [transcript.flushed(), transcript.flushed()].map((flushed) => failure(flushed));
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: "storage_failed" });
  await transcript.flushed();
  lose();
  // The store answers in this turn of the event loop.
  await nextTurn();
  isBroken = false;
  expect(await failure(transcript.flushed())).toMatchObject({ code: "storage_failed" });
  await transcript.flushed();
});

test("pauses an agent that comes while the queue is long, and kills one that writes on with the memory full", async () => {
  const memory = new ByteShare({ most: 8e6, small: 8e6, pool: new BytePool(0) });
  const transcript = new Transcript(new MemoryStore(), "session", memory, () => undefined);
  const calls: unknown[] = [];
  const append = () => transcript.append({ jsonrpc: "2.0", method: "x", params: { text: "y".repeat(5e6) } });
  append();
  transcript.setSource({
    pause: (isPaused) => calls.push(isPaused),
    kill: () => calls.push("kill"),
    killFor: (fault) => calls.push(fault),
  });
  expect(calls).toEqual([true]);
  for (let count = 1; count < 6; count++) append();
  expect(calls).toEqual([true]);
  append();
  expect(calls).toEqual([true, "it wrote too much that is not stored yet"]);
  await transcript.flushed();
  expect(calls.at(-1)).toBe(false);
});

test("an event pays for its objects until it is stored and sent", async () => {
  const memory = new ByteShare({ most: 1e9, small: 1e9, pool: new BytePool(0) });
  const paid: number[] = [];
  const transcript = new Transcript(new MemoryStore(), "session", memory, () => paid.push(memory.bytes));
  transcript.append({ jsonrpc: "2.0", method: "x" }, 10_000);
  expect(memory.bytes).toBeGreaterThan(10_000 * 64 + 600);
  await transcript.flushed();
  expect(paid).toEqual([expect.any(Number)]);
  expect(paid[0]).toBeGreaterThan(10_000 * 64 + 600);
  expect(memory.bytes).toBe(0);
});
