import { expect, test } from "vitest";
import { Sealer } from "../../src/base/sealer.ts";

test("a sealed record opens with its key and at its place only, and not when a byte of it has changed", () => {
  const sealer = new Sealer(new Uint8Array(32).fill(1));
  const record = sealer.seal("net/secrets", Buffer.from("content"));
  expect(sealer.open("net/secrets", record).toString()).toBe("content");
  expect(record.includes("content")).toBe(false);
  expect(sealer.seal("net/secrets", Buffer.from("content")).equals(record)).toBe(false);
  expect(() => new Sealer(new Uint8Array(32).fill(2)).open("net/secrets", record)).toThrow();
  expect(() => sealer.open("net/other", record)).toThrow();
  for (let at = 0; at < record.length; at++) {
    const changed = Buffer.from(record);
    changed[at] = (changed[at] as number) ^ 1;
    expect(() => sealer.open("net/secrets", changed)).toThrow();
    expect(() => sealer.open("net/secrets", record.subarray(0, at))).toThrow();
  }
});
