import { expect, test } from "vitest";
import { TextChunks } from "../../src/cli/text-chunks.ts";

async function printed(...chunks: [stream: "stdout" | "stderr", data: Uint8Array][]) {
  const lines: unknown[] = [];
  const texts = new TextChunks(async ({ stream }, data) => void lines.push([stream, data]));
  for (const [seq, [stream, data]] of chunks.entries()) await texts.push({ stream, data, seq });
  await texts.end();
  return lines;
}

test.each([1, 2, 3, 5])("output in chunks of %i bytes is text", async (size) => {
  const bytes = Buffer.from("aä€🙂z");
  const chunks: ["stdout" | "stderr", Uint8Array][] = [];
  for (let start = 0; start < bytes.length; start += size) {
    chunks.push(["stdout", bytes.subarray(start, start + size)]);
    chunks.push(["stderr", bytes.subarray(start, start + size)]);
  }
  const lines = (await printed(...chunks)) as [string, string][];
  for (const name of ["stdout", "stderr"])
    expect(lines.flatMap(([stream, text]) => (stream === name ? [text] : [])).join("")).toBe("aä€🙂z");
});

test("bytes that are not UTF-8 stay bytes, and a character that is cut off is printed at the end", async () => {
  const half = Buffer.from("€").subarray(0, 2);
  expect(await printed(["stdout", Buffer.from([0xff, 0x41])], ["stdout", half])).toEqual([
    ["stdout", Buffer.from([0xff, 0x41])],
    ["stdout", half],
  ]);
});
