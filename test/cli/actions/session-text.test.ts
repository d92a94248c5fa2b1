import { expect, test } from "vitest";
import type { SessionEvent } from "../../../src/api/methods/session-event.ts";
import { briefly } from "../../../src/cli/actions/session-text.ts";

const update = (given: unknown) =>
  briefly({ method: "session/update", params: { sessionId: "s", update: given } } as unknown as SessionEvent);

test.each([
  { sessionUpdate: "plan" },
  { sessionUpdate: "plan", entries: [null] },
  { sessionUpdate: "agent_message_chunk" },
  { sessionUpdate: "tool_call", title: { toString: 1 } },
  null,
])("an update that cannot be shown is a line that says so: %j", (given) => {
  expect(update(given)).toEqual({ speaker: "*", text: "an event that cannot be shown" });
});
