import { expect, test } from "vitest";
import { assertJson, measured } from "../../src/actors/large-results.ts";
import { MAX_JSON_ESCAPES } from "../../src/api/limits.ts";
import { failure } from "../support/until.ts";

test("each large result gets a turn of the event loop of its own", async () => {
  let turn = 0;
  let next = setImmediate(function count() {
    turn += 1;
    next = setImmediate(count);
  });
  const large = () => measured("x".repeat(3 << 20)).then(() => turn);
  const small = () => measured("x").then(() => turn);
  const turns = await Promise.all([large(), large(), large(), small()]);
  clearImmediate(next);
  expect(new Set(turns.slice(0, 3)).size).toBe(3);
  expect(turns[3]).toBe(0);
});

test("a result that JSON would make too large, or has too many escapes, is refused before it is encoded", async () => {
  await assertJson("exec", { stdout: "x".repeat(20 << 20) });
  await assertJson("exec", { stdout: "line\n".repeat(MAX_JSON_ESCAPES) });
  expect(await failure(assertJson("exec", { stdout: "\u0001".repeat(6 << 20) }))).toMatchObject({
    code: "response_too_large",
  });
  expect(await failure(assertJson("exec", { stdout: "\n".repeat(MAX_JSON_ESCAPES + 1) }))).toMatchObject({
    code: "response_too_large",
    message: expect.stringContaining("MAX_JSON_ESCAPES"),
  });
  // Names of files that are no text.
  const names = Array.from({ length: 40_000 }, () => "\udcff".repeat(255));
  expect(await failure(assertJson("readdir", names))).toMatchObject({ code: "response_too_large" });
  // JSON.stringify takes eight times as long for them as for line feeds.
  await assertJson("readdir", ["\udcff".repeat(MAX_JSON_ESCAPES / 8)]);
  expect(await failure(assertJson("readdir", ["\udcff".repeat(MAX_JSON_ESCAPES / 8 + 1)]))).toMatchObject({
    message: expect.stringContaining("MAX_JSON_ESCAPES"),
  });
  expect(await failure(assertJson("readFile", new Uint8Array(24 << 20)))).toMatchObject({
    code: "response_too_large",
  });
});
