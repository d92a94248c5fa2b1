import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readAtMost } from "../../src/base/read-at-most.ts";

test("a body of the limit's size is read whole, in pieces of any size", async () => {
  const pieces = Array.from("abcdef", (letter) => Buffer.from(letter));
  expect((await readAtMost(Readable.from(pieces), 6))?.toString()).toBe("abcdef");
  expect((await readAtMost(Readable.from([]), 0))?.length).toBe(0);
});

test("a body above the limit is not read further than that", async () => {
  const body = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(10)));
  const pieces = body.iterator({ destroyOnReturn: false });
  expect(await readAtMost(pieces, 25)).toBeUndefined();
  let left = 0;
  for await (const _piece of body) left += 1;
  expect(left).toBe(97);
});
