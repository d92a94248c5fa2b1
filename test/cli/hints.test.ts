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

test("the JSON of an error has its metadata, and the hint once", () => {
  const error = new AgentVmError("unauthorized", "m", { reason: "invalid", count: 2n ** 60n });
  expect(JSON.parse(failureJson(error))).toEqual({
    error: {
      code: "unauthorized",
      message: "m",
      metadata: { reason: "invalid", count: "1152921504606846976" },
      hint: expect.stringContaining("AGENT_VM_TOKEN"),
    },
  });
});

test("the hint of a refusal names the missing right, the VM out of reach, or the remedy of the error", () => {
  const lineOf = (metadata: Record<string, unknown>) =>
    failureLine(new AgentVmError("forbidden", "m.", metadata));
  expect(lineOf({ right: "exec" })).toContain("a token with this right: `agent-vm token create --vm KEY");
  expect(lineOf({ key: ["team", "a/b"] })).toContain(
    "a token with this VM: `agent-vm token create --vm team/a\\/b --may",
  );
  expect(lineOf({ hint: "Keep the rules." })).toBe("agent-vm: m. Keep the rules.\n");
});
