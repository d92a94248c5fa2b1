import { describe, expect, test } from "vitest";
import { FairPool } from "../../../src/base/fair-pool.ts";
import { REPLAY_CHUNK_BYTES } from "../../../src/runtime/processes/limits.ts";
import { ReplayBudget, ReplayBuffer } from "../../../src/runtime/processes/replay-buffer.ts";
import { heldBytes } from "../../support/heap.ts";

const STREAMS = [{ stream: "stdout" }, { stream: "stderr" }] as const;
type Kind = (typeof STREAMS)[number];

function text(chunks: { data: Uint8Array }[]): string {
  return Buffer.concat(chunks.map(({ data }) => data)).toString("latin1");
}

/** Chunks of different lengths, streams and bytes. */
function piece(seq: number): { kind: Kind; data: Buffer } {
  return { kind: STREAMS[seq % 3 === 0 ? 1 : 0], data: Buffer.alloc((seq * 7919) % 3000, seq) };
}

describe("kept output", () => {
  test("returns the pushed chunks after any number", () => {
    const buffer = new ReplayBuffer<Kind>(10 << 20);
    const pushed = Array.from({ length: 1000 }, (_, seq) => {
      const { kind, data } = piece(seq);
      return buffer.push(kind, new Uint8Array(data));
    });
    expect(pushed.map(({ seq }) => seq)).toEqual(Array.from({ length: 1000 }, (_, seq) => seq));
    expect(buffer.after(-1)).toEqual({ chunks: pushed, truncated: false });
    for (const after of [0, 1, 499, 998, 999, 2000])
      expect(buffer.after(after)).toEqual({ chunks: pushed.slice(after + 1), truncated: false });
  });

  test("keeps the newest output, up to the capacity", () => {
    const buffer = new ReplayBuffer<Kind>(100_000);
    const pushed = Array.from({ length: 1000 }, (_, seq) => {
      const { kind, data } = piece(seq);
      return buffer.push(kind, new Uint8Array(data));
    });
    const { chunks, truncated } = buffer.after(-1);
    expect(truncated).toBe(true);
    expect(chunks).toEqual(pushed.slice(-chunks.length));
    const counted = chunks.reduce((sum, { data }) => sum + data.byteLength + REPLAY_CHUNK_BYTES, 0);
    expect(counted).toBeLessThanOrEqual(100_000);
    expect(counted).toBeGreaterThan(100_000 - 3000 - REPLAY_CHUNK_BYTES);
    const first = chunks[0]?.seq ?? 0;
    expect(buffer.after(first - 1).truncated).toBe(false);
    expect(buffer.after(first - 2).truncated).toBe(true);
  });

  test("takes no more memory than it counts, even byte by byte", () => {
    const capacity = 1 << 20;
    const before = heldBytes();
    const buffers = STREAMS.map(() => new ReplayBuffer<Kind>(capacity));
    for (let seq = 0; seq < 200_000; seq++)
      for (const buffer of buffers) buffer.push(STREAMS[seq % 2] as Kind, new Uint8Array([seq]));
    expect(heldBytes() - before).toBeLessThan(buffers.length * capacity * 1.5);
    expect(buffers[0]?.after(-1).chunks.length).toBe(Math.floor(capacity / (1 + REPLAY_CHUNK_BYTES)));
  });
});

describe("the budget of a VM", () => {
  const full = 100 + REPLAY_CHUNK_BYTES;
  const push = (buffer: ReplayBuffer<object>, letter: string) => buffer.push({}, Buffer.alloc(100, letter));
  const kept = (buffer: ReplayBuffer<object>) => text(buffer.after(-1).chunks).replace(/(.)\1+/g, "$1");

  test("drops output of ended processes first, then of the oldest", () => {
    const budget = new ReplayBudget(4 * full);
    const [a, b, c] = [0, 1, 2].map(() => new ReplayBuffer<object>(1 << 20, budget)) as [
      ReplayBuffer<object>,
      ReplayBuffer<object>,
      ReplayBuffer<object>,
    ];
    push(a, "a");
    push(b, "b");
    push(b, "c");
    push(c, "d");
    b.end();
    push(c, "e");
    expect([a, b, c].map(kept)).toEqual(["a", "c", "de"]);
    push(c, "f");
    expect([a, b, c].map(kept)).toEqual(["a", "", "def"]);
    expect(b.after(-1)).toEqual({ chunks: [], truncated: true });
    push(c, "g");
    expect([a, b, c].map(kept)).toEqual(["", "", "defg"]);
    push(c, "h");
    push(a, "i");
    expect([a, b, c].map(kept)).toEqual(["i", "", "fgh"]);
  });

  test("gets its bytes back", () => {
    const budget = new ReplayBudget(2 * full);
    const [a, b] = [0, 1].map(() => new ReplayBuffer<object>(1 << 20, budget)) as [
      ReplayBuffer<object>,
      ReplayBuffer<object>,
    ];
    push(a, "a");
    push(a, "b");
    a.clear();
    push(b, "c");
    push(b, "d");
    expect([a, b].map(kept)).toEqual(["", "cd"]);
  });
});

describe("the output of all VMs", () => {
  const full = 100 + REPLAY_CHUNK_BYTES;

  test("the VM that keeps the most loses output, and no VM that keeps little", () => {
    const pool = new FairPool(100 * full);
    const vmOf = () => {
      const budget = new ReplayBudget(1000 * full, pool);
      return { budget, buffer: new ReplayBuffer<object>(1 << 20, budget) };
    };
    const witness = vmOf();
    for (let chunk = 0; chunk < 10; chunk++) witness.buffer.push({}, Buffer.alloc(100));
    witness.buffer.end();
    const flood = vmOf();
    for (let chunk = 0; chunk < 1000; chunk++) flood.buffer.push({}, Buffer.alloc(100));
    expect(witness.buffer.after(-1)).toMatchObject({ truncated: false });
    expect(flood.buffer.after(-1)).toMatchObject({ truncated: true });
    expect(pool.bytes).toBeLessThanOrEqual(100 * full);
    expect(pool.bytes).toBe(witness.budget.bytes + flood.budget.bytes);
  });

  test("a VM that has ended keeps no output", async () => {
    const pool = new FairPool(100 * full);
    const budget = new ReplayBudget(10 * full, pool);
    const [running, ended] = [0, 1].map(() => new ReplayBuffer<object>(1 << 20, budget)) as [
      ReplayBuffer<object>,
      ReplayBuffer<object>,
    ];
    running.push({}, Buffer.alloc(100));
    ended.push({}, Buffer.alloc(100));
    await budget.settled();
    running.push({}, Buffer.alloc(100));
    ended.clear();
    expect(pool.bytes).toBe(0);
  });
});
