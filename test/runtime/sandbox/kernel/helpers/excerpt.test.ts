// @module-tag any-user
// @module-tag attack
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { Excerpt } from "../../../../../src/runtime/sandbox/kernel/helpers/excerpt.ts";

test("of errors without an end the beginning is kept", async () => {
  const stream = new PassThrough();
  const errors = new Excerpt(stream);
  stream.write(Buffer.alloc(1 << 20, "x"));
  await errors.ended;
  expect(errors.text).toBe("x".repeat(4096));
});
