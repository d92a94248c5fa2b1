import { expect, test } from "vitest";
import { sparseContent } from "../../src/base/sparse-map.ts";

const map = (text: string) => Buffer.from(text.padEnd(512, "\0"));

async function decoded(pieces: Uint8Array[], size: string, maxMapBytes = 512): Promise<unknown[]> {
  const damaged = () => new Error("damaged");
  const content = sparseContent(pieces, { "GNU.sparse.realsize": size }, { maxMapBytes, damaged });
  const found: unknown[] = [];
  for await (const piece of content) found.push("hole" in piece ? piece.hole : Buffer.from(piece).toString());
  return found;
}

test("a sparse file is its data and its holes, however the bytes are cut", async () => {
  const bytes = Buffer.concat([map("2\n3\n2\n9\n1\n"), Buffer.from("abc")]);
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  expect(await decoded([bytes], "12")).toEqual([3, "ab", 4, "c", 2]);
  expect(await decoded(single, "12")).toEqual([3, "a", "b", 4, "c", 2]);
});

test.each([
  ["a size that is no number", [map("0\n")], "x"],
  ["a number that is too long", [Buffer.from("1".repeat(18))], "9"],
  ["a map that does not end", [map("9\n")], "9"],
  ["a part behind the end", [map("1\n8\n2\n"), Buffer.from("ab")], "9"],
  ["parts out of order", [map("2\n4\n1\n2\n1\n"), Buffer.from("ab")], "9"],
  ["more data than its parts", [map("1\n0\n1\n"), Buffer.from("ab")], "9"],
  ["less data than its parts", [map("1\n0\n2\n"), Buffer.from("a")], "9"],
])("a sparse file with %s is refused", async (_what, pieces, size) => {
  await expect(decoded(pieces, size)).rejects.toThrow("damaged");
});

test("a map above its limit is refused", async () => {
  await expect(decoded([map("1\n0\n1\n"), Buffer.from("a")], "1", 5)).rejects.toThrow("damaged");
});
