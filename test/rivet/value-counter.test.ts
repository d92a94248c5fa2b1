// @module-tag attack
import { expect, test } from "vitest";
import { type Encoding, encodingOf, valueCounter } from "../../src/rivet/value-counter.ts";
import { testRows } from "../support/rows.ts";

/** Counts a message in pieces. */
function fits(encoding: Encoding, message: Uint8Array, piece = message.length, within = "request"): boolean {
  const counter = valueCounter(encoding, within as "request");
  for (let at = 0; at < message.length; at += piece)
    if (!counter.add(message.subarray(at, at + piece))) return false;
  return true;
}

const json = (text: string) => Buffer.from(text);
const listed = (count: number) => json(`{"args":[${Array(count).fill('"a,[{:\\"\\\\"').join()}]}`);
const keyed = (count: number) =>
  json(`{"args":[{${Array.from({ length: count }, (_, index) => `"k${index}":0`).join()}}]}`);

/** A CBOR array with an item for each count: an array or a map. */
function cbor(kind: "array" | "map", count: number): Buffer {
  const head = Buffer.from([0x81, kind === "array" ? 0x9a : 0xba, 0, 0, 0, 0]);
  head.writeUInt32BE(count, 2);
  const item = Buffer.from(kind === "array" ? "63612c5b" : "63612c5b00", "hex");
  return Buffer.concat([head, ...Array(count).fill(item)]);
}

/** A request of RivetKit's BARE protocol. */
function bare(body: Buffer): Buffer {
  const length: number[] = [];
  for (let left = body.length; ; left = Math.floor(left / 128)) {
    length.push((left % 128) + (left >= 128 ? 128 : 0));
    if (left < 128) return Buffer.concat([Buffer.from([1, 0, ...length]), body]);
  }
}

testRows([[1 << 20], [1000], [7], [1]], 4)("counts values and keys in pieces of %d bytes", async (piece) => {
  expect(fits("json", listed(40_000), piece)).toBe(true);
  expect(fits("json", listed(40_961), piece)).toBe(false);
  expect(fits("json", keyed(20_000), piece)).toBe(true);
  expect(fits("json", keyed(20_481), piece)).toBe(false);
  for (const [encoding, wrap] of [["cbor", (body: Buffer) => body] as const, ["bare", bare] as const]) {
    expect(fits(encoding, wrap(cbor("array", 40_000)), piece)).toBe(true);
    expect(fits(encoding, wrap(cbor("array", 40_961)), piece)).toBe(false);
    expect(fits(encoding, wrap(cbor("map", 20_000)), piece)).toBe(true);
    expect(fits(encoding, wrap(cbor("map", 20_481)), piece)).toBe(false);
  }
});

test("skips the content of strings and bytes, and the fields before the arguments of a call", () => {
  const text = Buffer.concat([Buffer.from("817a00400000", "hex"), Buffer.alloc(4 << 20, 0x80)]);
  expect(fits("cbor", text)).toBe(true);
  expect(fits("json", json(`["${"\\\\[,".repeat(1 << 20)}"]`))).toBe(true);
  // Version, kind, id 300, the name "exec", and the length.
  const head = Buffer.from("010000ac020465786563", "hex");
  const call = (body: Buffer) => Buffer.concat([head, bare(body).subarray(2)]);
  expect(fits("bare", call(cbor("map", 20_000)), 5, "connection")).toBe(true);
  expect(fits("bare", call(cbor("map", 20_481)), 5, "connection")).toBe(false);
});

test("refuses values that are too deep to decode, and tags of tags", () => {
  const arrays = (depth: number) => json("[".repeat(depth) + "]".repeat(depth));
  const objects = (depth: number) => json(`${'{"a":'.repeat(depth)}0${"}".repeat(depth)}`);
  const wrapped = (item: string, depth: number) => Buffer.from(`${item.repeat(depth)}00`, "hex");
  for (const [depth, isFitting] of [
    [100, true],
    [120, false],
  ] as const) {
    expect(fits("json", arrays(depth), 7)).toBe(isFitting);
    expect(fits("json", objects(depth), 7)).toBe(isFitting);
    // Arrays, maps, and arrays that end with a break.
    for (const item of ["81", "a16161", "9f"]) expect(fits("cbor", wrapped(item, depth))).toBe(isFitting);
  }
  expect(fits("cbor", Buffer.from("c11a00000001", "hex"))).toBe(true);
  expect(fits("cbor", Buffer.from("c1c11a00000001", "hex"))).toBe(false);
});

test("refuses lengths without content, and endless blanks", () => {
  expect(fits("cbor", Buffer.from("9affffffff", "hex"))).toBe(false);
  expect(fits("cbor", Buffer.from("bb000000ffffffffff", "hex"))).toBe(false);
  expect(fits("json", Buffer.alloc(5 << 20, " "))).toBe(false);
});

test.each([1 << 20, 3])(
  "refuses text and bytes in place of an array of arguments, in pieces of %d",
  (piece) => {
    const long = "x".repeat(70_000);
    expect(fits("json", json(`{"a":[1,[]],"args":"${long}"}`), piece)).toBe(false);
    expect(fits("json", json(`{"a":[1,[]],"args":["${long}"]}`), piece)).toBe(true);
    const bytes = Buffer.concat([Buffer.from("5a00011170", "hex"), Buffer.from(long)]);
    const map = (value: string) => Buffer.concat([Buffer.from(`a26161820180${value}`, "hex"), bytes]);
    expect(fits("cbor", map("6461726773"), piece)).toBe(false);
    expect(fits("cbor", map("646172677381"), piece)).toBe(true);
    // Arrays that end with a break.
    expect(fits("cbor", map("64617267739f"), piece)).toBe(true);
    expect(fits("cbor", map("64617267739fff"), piece)).toBe(false);
  },
);

test.each([1 << 20, 1])("refuses large integers, whose decoding is quadratic, in pieces of %d", (piece) => {
  const integer = (tag: string, length: number) =>
    Buffer.concat([
      Buffer.from(`81${tag}59${length.toString(16).padStart(4, "0")}`, "hex"),
      Buffer.alloc(length),
    ]);
  expect(fits("cbor", integer("c2", 32), piece)).toBe(true);
  expect(fits("cbor", integer("c2", 33), piece)).toBe(false);
  expect(fits("cbor", integer("d803", 33), piece)).toBe(false);
  expect(fits("cbor", Buffer.from("81c25f", "hex"), piece)).toBe(false);
  expect(fits("cbor", integer("d840", 2000), piece)).toBe(true);
  // Through another tag, or as a reference to earlier bytes.
  expect(fits("cbor", integer("c2d840", 2000), piece)).toBe(false);
  expect(fits("cbor", integer("d81c", 2000), piece)).toBe(false);
  expect(fits("cbor", Buffer.from("81c200", "hex"), piece)).toBe(false);
  const pair = (mark: string, digits: number) => json(`{"args":[["${mark}","${"9".repeat(digits)}"]]}`);
  expect(fits("json", pair("$BigInt", 1000), piece)).toBe(true);
  for (const mark of ["$BigInt", "\\u0024BigInt", "$Big\\u0049nt"])
    expect(fits("json", pair(mark, 2000), piece)).toBe(false);
  for (const mark of ["$Uint8Array", "$ArrayBuffer", "$$BigInt", "text"])
    expect(fits("json", pair(mark, 2000), piece)).toBe(true);
});

test.each<[string | undefined, Record<string, string>, Encoding]>([
  [undefined, {}, "json"],
  ["POST", {}, "json"],
  ["POST", { "x-rivet-encoding": "json" }, "json"],
  ["POST", { "x-rivet-encoding": "bare" }, "bare"],
  ["POST", { "x-rivet-encoding": "cbor, bare" }, "json"],
  ["POST", { "sec-websocket-protocol": "rivet_encoding.cbor" }, "json"],
  ["POST", { "sec-websocket-protocol": "rivet_encoding.json", "x-rivet-encoding": "cbor" }, "cbor"],
  ["GET", {}, "json"],
  ["GET", { "x-rivet-encoding": "cbor" }, "json"],
  ["GET", { "sec-websocket-protocol": "rivet, rivet_encoding.json, rivet_conn_params.x" }, "json"],
  ["GET", { "sec-websocket-protocol": "rivet, rivet_encoding.cbor, rivet_conn_params.x" }, "cbor"],
  ["GET", { "sec-websocket-protocol": "rivet,rivet_encoding.bare,cbor" }, "bare"],
  ["GET", { "sec-websocket-protocol": "rivet, rivet_encoding.json, cbor" }, "json"],
  ["GET", { "sec-websocket-protocol": "rivet_encoding.cbor, rivet_encoding.json" }, "json"],
  ["GET", { "sec-websocket-protocol": "rivet_encoding.json, rivet_encoding.cbor" }, "cbor"],
])(
  "reads the encoding of a request of the method %s with %j as RivetKit does",
  (method, headers, encoding) => {
    expect(encodingOf(method, (name) => headers[name])).toBe(encoding);
  },
);
