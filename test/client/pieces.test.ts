import { expect, test } from "vitest";
import { type PieceSource, piecesOf } from "../../src/client/pieces.ts";
import { collectGarbage } from "../support/heap.ts";

const options = { maxBytes: 200_000, patienceMs: 60_000, signal: undefined };

async function collected(source: PieceSource): Promise<{ sizes: number[]; bytes: Buffer; rooms: number[] }> {
  const pieces: Buffer[] = [];
  const rooms: number[] = [];
  for await (const piece of piecesOf(source, options).pieces) {
    pieces.push(Buffer.from(piece));
    rooms.push(piece.buffer.byteLength);
  }
  return { sizes: pieces.map((piece) => piece.length), bytes: Buffer.concat(pieces), rooms };
}

test("parts of any size become pieces of one size and a rest", async () => {
  const parts = [1, 70_000, 0, 199_999, 450_000, 3].map((size, index) =>
    new Uint8Array(size).fill(index + 1),
  );
  const { sizes, bytes } = await collected(parts);
  expect(sizes).toEqual([200_000, 200_000, 200_000, 120_003]);
  expect(bytes.equals(Buffer.concat(parts))).toBe(true);
});

test("a small stream takes a small buffer", async () => {
  const { rooms } = await collected([new Uint8Array(100), new Uint8Array(100)]);
  expect(rooms).toEqual([64 * 1024]);
});

test("a source may free each value once the next one is asked for", async () => {
  async function* source() {
    for (let index = 1; index <= 5; index++) {
      const value = new Uint8Array(90_000).fill(index);
      yield value;
      value.buffer.transfer(0);
    }
  }
  const { bytes } = await collected(source());
  expect(bytes.length).toBe(450_000);
  expect([...new Set(bytes)]).toEqual([1, 2, 3, 4, 5]);
});

test("a long stream holds none of the values that it has passed on", async () => {
  const values: WeakRef<Uint8Array>[] = [];
  let held = 0;
  async function* source() {
    for (let index = 0; index < 100; index++) {
      const value = new Uint8Array(1024 * 1024);
      values.push(new WeakRef(value));
      yield value;
    }
    // A new reference keeps its value until the end of its turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    held = values.filter((value) => value.deref() !== undefined).length;
  }
  const { signal } = new AbortController();
  let total = 0;
  for await (const piece of piecesOf(source(), { ...options, signal }).pieces) total += piece.byteLength;
  expect(total).toBe(100 * 1024 * 1024);
  expect(held).toBeLessThan(10);
});
