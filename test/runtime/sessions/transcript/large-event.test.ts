import { expect, test } from "vitest";
import { MAX_RESULT_BYTES } from "../../../../src/api/limits.ts";
import { exportPart } from "../../../../src/runtime/sessions/transcript/export.ts";
import type { TranscriptEvent } from "../../../../src/runtime/sessions/transcript/transcript-store.ts";

test("a transcript as JSON passes an event that no message can carry", async () => {
  const texts = ["one", "\u0001".repeat(8 * 1024 * 1024), "two"];
  async function* events(): AsyncGenerator<TranscriptEvent> {
    for (const [seq, text] of texts.entries())
      yield { seq, createdAt: 7, notification: { jsonrpc: "2.0", method: "x", params: { text } } as never };
  }
  const record = {
    sessionId: "s",
    agentType: "raw",
    capabilities: {},
    agentInfo: null,
    createdAt: 0,
    closed: false,
  };
  const { data, end } = await exportPart("json", { record, after: -1, events: events() });
  expect(end).toBe(true);
  expect(Buffer.byteLength(data)).toBeLessThan(MAX_RESULT_BYTES);
  expect(JSON.parse(data).events).toEqual([
    { seq: 0, createdAt: 7, event: { jsonrpc: "2.0", method: "x", params: { text: "one" } } },
    { seq: 1, createdAt: 7, event: null, bytes: expect.any(Number) },
    { seq: 2, createdAt: 7, event: { jsonrpc: "2.0", method: "x", params: { text: "two" } } },
  ]);
});
