import { expect, test } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { failureJson, failureLine } from "../../src/cli/hints.ts";

const HOSTILE = "a\u001b[2J\u009b2J\u202eb\nagent-vm: forged";

test.each<[string, Error]>([
  ["a server", new AgentVmError("EISDIR", HOSTILE)],
  ["Node", Object.assign(new Error(HOSTILE), { code: "ENOTDIR" })],
])("the text of an error of %s is one line without control characters", (_who, error) => {
  for (const line of [failureLine(error), failureJson(error)]) {
    expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(line.at(-1)).toBe("\n");
  }
});

test("an error of this program keeps its lines", () => {
  expect(failureLine(new Error("one\n\u001btwo"))).toBe("agent-vm: one\n\\u001btwo\n");
});
