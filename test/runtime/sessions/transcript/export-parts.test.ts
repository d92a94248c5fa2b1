// @module-tag slow
import { marked } from "marked";
import { expect, test } from "vitest";
import type { PersistedSessionRecord } from "../../../../src/api/methods/session-types.ts";
import { pause } from "../../../../src/base/pace.ts";
import { exportPart } from "../../../../src/runtime/sessions/transcript/export.ts";
import type { TranscriptEvent } from "../../../../src/runtime/sessions/transcript/transcript-store.ts";
import { ask, open, scriptedVm } from "../../../support/scripted.ts";
import { freshSlice, turnsOf, work } from "../../../support/turns.ts";

test.each(["json", "markdown"] as const)(
  "a long transcript comes in parts that are one document: %s",
  async (format) => {
    const { vm } = scriptedVm();
    const id = await open(vm);
    await ask(vm, id, Array.from({ length: 5 }, (_, index) => `big 1000000; tool t${index}`).join("; "));
    const parts: string[] = [];
    for (let after = -1, end = false; !end; ) {
      const part = await vm.readTranscript(id, { format, after });
      parts.push(part.data);
      ({ last: after, end } = part);
    }
    const text = parts.join("");
    expect(parts.length).toBe(2);
    if (format === "json") {
      expect(JSON.parse(text).events).toHaveLength((await vm.getSessionEvents(id)).length);
    } else {
      expect(text.match(/^# Session/gm)).toHaveLength(1);
      expect(text.match(/^## Tool: /gm)).toHaveLength(5);
    }
  },
);

const MIB = 1024 * 1024;

const LONG_TEXTS = [
  ["a control character", "\u007f", ""],
  ["a backtick", "`", ""],
  ["a line end of a diff", "\n", "diff"],
  ["a backtick after each space", " `", ""],
] as const;

test.each(LONG_TEXTS)("the texts of one event share the room for a text: %s", async (_name, piece, type) => {
  const text = piece.repeat(MIB / piece.length);
  const part =
    type === "diff"
      ? { type, path: "/a", oldText: text, newText: text }
      : { type: "content", content: { type: "text", text } };
  const content = Array.from({ length: 7 }, () => [part, part]).flat();
  const update = { sessionUpdate: "tool_call", toolCallId: "t", title: "Make", content };
  const notification = { jsonrpc: "2.0", method: "session/update", params: { update } };
  async function* events() {
    yield { seq: 0, createdAt: 0, notification } as unknown as TranscriptEvent;
  }
  const record = { sessionId: "s", agentType: "scripted", createdAt: 0 } as PersistedSessionRecord;
  // Without a pause the work is in microtasks: no turn comes between. Earlier work has used the slice up.
  await freshSlice();
  let data = "";
  const turns = await turnsOf(async () => {
    pause();
    work();
    ({ data } = await exportPart("markdown", { record, after: -1, events: events() }));
  });
  expect(data.length).toBeGreaterThan(0.9 * MIB);
  expect(data.length).toBeLessThan(1.01 * MIB);
  expect(turns).toBeGreaterThan(0);
  const tokens = marked.lexer(data);
  expect(tokens.filter((token) => token.type === "code").length).toBe(1);
  expect(tokens.at(-1)).toMatchObject({ type: "paragraph", text: expect.stringContaining("left out") });
  expect(Math.max(...(data.match(/^`+/gm) ?? []).map((fence) => fence.length))).toBeLessThan(500);
});
