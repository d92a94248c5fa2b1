import { expect, test } from "vitest";
import { preambleOf } from "../../../../src/runtime/sessions/agent-link/preamble.ts";
import type { TranscriptEvent } from "../../../../src/runtime/sessions/transcript/transcript-store.ts";
import { turnsOf } from "../../../support/turns.ts";

/** Short messages of two speakers in turn, of which all are there at once. */
async function* conversation(count: number): AsyncGenerator<TranscriptEvent> {
  for (let seq = 0; seq < count; seq++) {
    const sessionUpdate = seq % 2 === 0 ? "user_message_chunk" : "agent_message_chunk";
    const update = { sessionUpdate, content: { type: "text", text: `${seq}` } };
    const params = { sessionId: "one", update };
    yield { seq, createdAt: 0, notification: { jsonrpc: "2.0", method: "session/update", params } as never };
  }
}

test("reads a long conversation in slices and keeps its newest part", async () => {
  let text = "";
  const turns = await turnsOf(async () => {
    text = (await preambleOf(conversation(100_000))) ?? "";
  });
  expect(turns).toBeGreaterThan(3);
  expect(text.length).toBeLessThan(70_000);
  expect(text).toMatch(/<conversation>\n\[\.\.\.\][\s\S]*User: 99998\n\nAssistant: 99999\n<\/conversation>/);
});
