import { expect, test } from "vitest";
import { BareReader, BareWriter } from "../../src/base/bare.ts";

const LARGEST = Number.MAX_SAFE_INTEGER;

function written(): Uint8Array<ArrayBuffer> {
  return new BareWriter()
    .byte(3)
    .byte(0)
    .integer(LARGEST)
    .fixed64(LARGEST)
    .text("\uFEFFä")
    .flag(false)
    .flag(true)
    .data(Uint8Array.of(7))
    .bytes();
}

test("a reader reads what a writer wrote, also from a part of a larger buffer", () => {
  const reader = new BareReader(Buffer.concat([Buffer.alloc(3), written()]).subarray(3));
  reader.version();
  expect([reader.integer(), reader.fixed64(), reader.text()]).toEqual([LARGEST, LARGEST, "\uFEFFä"]);
  const data = () => reader.data();
  expect([reader.optional(data), reader.optional(data)]).toEqual([undefined, Buffer.of(7)]);
});

test("a reader refuses bytes that end early, and integers above 2^53", () => {
  const early = "The message ends early";
  expect(() => new BareReader(Uint8Array.of()).byte()).toThrow(early);
  expect(() => new BareReader(Uint8Array.of(0x80)).integer()).toThrow(early);
  expect(() => new BareReader(Uint8Array.of(2, 1)).data()).toThrow(early);
  expect(() => new BareReader(Buffer.alloc(16).subarray(0, 7)).fixed64()).toThrow(early);
  expect(() => new BareReader(Buffer.alloc(9, 0xff)).integer()).toThrow("above 2^53");
});
