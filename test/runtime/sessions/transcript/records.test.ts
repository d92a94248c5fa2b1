import { expect, test } from "vitest";
import { type SessionData, SessionRecords } from "../../../../src/runtime/sessions/transcript/records.ts";
import { recordKey } from "../../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";

const record = (sessionId: string): SessionData => ({
  sessionId,
  agentType: "test",
  createdAt: 1,
  closed: false,
  options: {},
  capabilities: {},
  agentInfo: null,
  agentSessionId: "a",
  prompted: false,
  settings: {},
});

test.each([
  ["no JSON", "5\n{abc}"],
  ["no record", "2\n{}"],
  ["empty", ""],
])("a record that is %s is left out and reported, and the other sessions are there", async (_, damaged) => {
  const store = new MemoryStore();
  const failures: unknown[] = [];
  const records = new SessionRecords(store, (error) => failures.push(error));
  for (const id of ["one", "two"]) await records.save(record(id));
  await store.put([[recordKey("one", 0), Buffer.from(damaged)]]);
  expect(await records.load()).toEqual([{ data: record("two"), isLight: false }]);
  expect(failures).toMatchObject([{ message: expect.stringContaining("session one") }]);
});
