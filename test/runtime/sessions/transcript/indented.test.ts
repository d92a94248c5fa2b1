import { expect, test } from "vitest";
import type { SessionEvent } from "../../../../src/api/methods/session-event.ts";
import { indented } from "../../../../src/runtime/sessions/transcript/indented.ts";
import { MAX_SHOWN_TEXT } from "../../../../src/runtime/sessions/transcript/markdown.ts";
import { sectionOf } from "../../../../src/runtime/sessions/transcript/sections.ts";

test.each([
  [{ a: [1, -2.5e30, 'x, {y}: [\\"z"', null, true], b: {}, c: [], d: { e: [[{}]] }, '"': "\n\u2028" }],
  ["text"],
  [[]],
  [[[], {}, [{ a: 1 }]]],
  [0],
])("writes %j as JSON.stringify does", (value) => {
  expect(indented(value, 10_000)).toBe(JSON.stringify(value, undefined, 2));
});

test("a value that has no JSON is empty", () => {
  expect(indented(undefined, 10)).toBe("");
});

test("deep lists are cut before their indentation grows", async () => {
  let rawInput: unknown = Array.from({ length: 50_000 }, () => 1);
  for (let depth = 0; depth < 250; depth++) rawInput = [rawInput];
  expect(indented(rawInput, 1_000).length).toBeLessThan(2_000);
  const update = { sessionUpdate: "tool_call", toolCallId: "1", title: "t", rawInput };
  const longest = { length: 0 };
  const { stringify } = JSON;
  JSON.stringify = ((...args: Parameters<typeof stringify>) => {
    const text = stringify(...args);
    longest.length = Math.max(longest.length, text?.length ?? 0);
    return text;
  }) as typeof stringify;
  let text: string;
  try {
    const event = { method: "session/update", params: { sessionId: "s", update } } as unknown as SessionEvent;
    text = String((await sectionOf(event))?.blocks);
  } finally {
    JSON.stringify = stringify;
  }
  expect(longest.length).toBeLessThan(200_000);
  expect(text.length).toBeLessThan(MAX_SHOWN_TEXT + 1_000);
  expect(text).toContain("The rest is left out");
});
