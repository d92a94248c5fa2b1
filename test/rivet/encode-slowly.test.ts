import { expect, test } from "vitest";
import { fromCbor, toCbor, toJson } from "../../src/client/rivet/values.ts";
import { encodeSlowly } from "../../src/rivet/encode-slowly.ts";
import { turnsOf } from "../support/turns.ts";

const bytes = (length: number) => Uint8Array.from({ length }, (_byte, at) => (at * 31) % 256);

const VALUES: readonly [name: string, value: unknown][] = [
  ["a long text", { stdout: 'line\n\u0000"\\'.repeat(40_000), stderr: "", exitCode: 0 }],
  // A part of the text would end within a pair.
  ["pairs of surrogates", [`x${"\u{1f600}".repeat(80_000)}`, "\u{1f600}".repeat(80_000)]],
  ["halves of surrogates", ["\ud83d".repeat(50_000), `${"\ude00".repeat(50_000)}\ud83d`]],
  ["long bytes", [bytes(100_001), { content: bytes(24 * 1024 + 1) }, bytes(3)]],
  ["many small values", Array.from({ length: 20_000 }, (_item, at) => ({ path: `/${at}`, size: at }))],
  ["small and large values", ["a", "b".repeat(30_000), "c", "d".repeat(30_000), 1, [], "e"]],
  ["many keys", Object.fromEntries(Array.from({ length: 20_000 }, (_item, at) => [`key ${at}`, at]))],
  ["a marked list", ["$Uint8Array", "x".repeat(100_000)]],
  ["marked lists in a list", [["$a", 1], ["$", "y".repeat(100_000)], "$b", "z".repeat(24 * 1024)]],
  ["missing values", { text: "x".repeat(50_000), none: null, list: [null, "y".repeat(50_000)] }],
  ["a small value", 7],
];

test.each(VALUES)("%s is encoded as RivetKit encodes it", async (_name, value) => {
  const cbor = await encodeSlowly(value, "bare");
  expect(fromCbor(Buffer.concat(cbor))).toEqual(fromCbor(toCbor(value)));
  expect(Buffer.concat(await encodeSlowly(value, "cbor"))).toEqual(Buffer.concat(cbor));
  // Compared as a whole: a difference of such texts would take minutes to print.
  expect(Buffer.concat(await encodeSlowly(value, "json")).equals(Buffer.from(toJson(value)))).toBe(true);
  for (const block of cbor) expect(block.length).toBeLessThanOrEqual(256 * 1024);
});

test("values of JSON that are left out, and big integers, have RivetKit's form", async () => {
  const value = { left: undefined, list: [undefined, 7n, "x".repeat(50_000)] };
  expect(Buffer.concat(await encodeSlowly(value, "json")).toString()).toBe(toJson(value));
});

test("entries that JSON leaves out, in large records", async () => {
  const left = Object.fromEntries(Array.from({ length: 30_000 }, (_item, at) => [`key ${at}`, undefined]));
  const value = { left, kept: { ...left, last: "x".repeat(50_000) }, act: () => 1 };
  expect(Buffer.concat(await encodeSlowly(value, "json")).toString()).toBe(toJson(value));
});

test.each(["bare", "json"] as const)(
  "a value that changes meanwhile arrives as it was, as %s",
  async (encoding) => {
    const value = Array.from({ length: 40 }, (_item, at) => ({ at, text: "x".repeat(200_000) }));
    const before = structuredClone(value);
    const encoded = encodeSlowly(value, encoding, true);
    value.push(...value.splice(0, 20), { at: 41, text: "y".repeat(100_000) });
    const all = Buffer.concat(await encoded);
    const decoded = encoding === "json" ? JSON.parse(all.toString()) : fromCbor(all);
    expect(decoded).toEqual(before);
  },
);

test.each(["bare", "json"] as const)(
  "a large value takes many turns of the event loop as %s",
  async (encoding) => {
    const value = { content: bytes(4 << 20), text: "é".repeat(8 << 20) };
    expect(await turnsOf(() => encodeSlowly(value, encoding))).toBeGreaterThan(3);
  },
);
