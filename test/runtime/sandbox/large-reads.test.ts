import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { encodings } from "../../../src/base/encodings.ts";
import { LargeReads } from "../../../src/runtime/sandbox/large-reads.ts";

test("a large file is read once the results before it are encoded, and a small file at once", async () => {
  const encoded = Promise.withResolvers<void>();
  const results = Array.from({ length: 5 }, () => encodings.run(() => encoded.promise));
  const reads = new LargeReads();
  let count = 0;
  const read = async () => ++count;
  const large = [reads.run(8 << 20, read), reads.run(8 << 20, read), reads.run(8 << 20, read)];
  expect(await reads.run(1000, read)).toBe(1);
  await nextTurn();
  expect(count).toBe(1);
  encoded.resolve();
  await Promise.all([...results, ...large]);
  expect(count).toBe(4);
});
