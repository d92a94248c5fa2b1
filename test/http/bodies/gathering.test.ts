import { expect, test } from "vitest";
import { Gathering } from "../../../src/http/bodies/gathering.ts";

const KIB = 1024;
const piece = (length: number, byte: number) => new Uint8Array(length).fill(byte);

test("pieces are written together, in order, and none is lost", async () => {
  const written: Uint8Array[] = [];
  const gathering = new Gathering(async (data) => void written.push(new Uint8Array(data)), Number.NaN);
  for (let byte = 0; byte < 40; byte++) await gathering.add(piece(50 * KIB + byte, byte));
  await gathering.end();
  const sent = Buffer.concat(Array.from({ length: 40 }, (_, byte) => piece(50 * KIB + byte, byte)));
  expect(Buffer.concat(written).equals(sent)).toBe(true);
  expect(written.length).toBeLessThan(6);
});

test("one piece is written while the next is gathered, and a third waits", async () => {
  const begun: PromiseWithResolvers<void>[] = [];
  const gathering = new Gathering(() => {
    const write = Promise.withResolvers<void>();
    begun.push(write);
    return write.promise;
  }, 10);
  await gathering.add(piece(10, 1));
  expect(begun).toHaveLength(1);
  await gathering.add(piece(9, 2));
  const third = gathering.add(piece(1, 2));
  await Promise.resolve();
  expect(begun).toHaveLength(1);
  begun[0]?.resolve();
  await third;
  expect(begun).toHaveLength(2);
  begun[1]?.resolve();
  await gathering.end();
});

test("a write that fails fails the next step, and the end", async () => {
  const gathering = new Gathering(async () => {
    throw new Error("full");
  }, 10);
  await gathering.add(piece(10, 1));
  await expect(gathering.add(piece(10, 2))).rejects.toThrow("full");
  await expect(gathering.end()).rejects.toThrow("full");
});
