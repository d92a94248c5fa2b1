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

const MODES = { currentModeId: "ask", availableModes: [{ id: "ask" }, { id: "code" }] };

test("a session with large options keeps its settings", async () => {
  const records = new SessionRecords(new MemoryStore(), () => undefined);
  const options = { env: { LARGE: "漢".repeat(120_000), LARGER: "x".repeat(160_000) } };
  await records.save({ ...record("one"), closed: true, options, settings: { modes: MODES } });
  expect(await records.read("one")).toMatchObject({ options, settings: { modes: MODES } });
});

test("a record that is too large for the store leaves out the largest settings, and keeps the others", async () => {
  const records = new SessionRecords(new MemoryStore(), () => undefined);
  const optionOf = (id: string, values: number) => ({
    id,
    currentValue: "0",
    options: Array.from({ length: values }, (_, value) => ({ value: `${value}`, name: "x".repeat(80) })),
  });
  const configOptions = [optionOf("effort", 10), optionOf("model", 8_000)];
  const options = { env: { LARGE: "x".repeat(400_000) } };
  await records.save({ ...record("one"), options, settings: { modes: MODES, configOptions } });
  const { settings } = await records.read("one");
  expect(settings).toMatchObject({ modes: MODES, configOptions: [optionOf("effort", 10)] });
});
