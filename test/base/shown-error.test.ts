import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AgentVmError, invalidArgument } from "../../src/api/errors.ts";
import { shownError } from "../../src/base/shown-error.ts";
import { storageFailed } from "../../src/runtime/store/coded-store.ts";
import { testRows } from "../support/rows.ts";

const SECRET = "s3cr3t";

function thrown(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

testRows<[string, () => unknown]>(
  [
    ["a refused argument", () => invalidArgument("path", "absolute", SECRET)],
    ["a missing file", () => new AgentVmError("ENOENT", `ENOENT: no such file, open '/${SECRET}'`)],
    ["the text of an agent", () => new AgentVmError("agent_error", SECRET)],
    ["a file of the host", () => thrown(() => readFileSync(`/nowhere/${SECRET}`))],
    ["JSON", () => thrown(() => JSON.parse(`{"a":${SECRET}`))],
    ["a value that Node refuses", () => thrown(() => readFileSync(`/x\0${SECRET}`))],
    ["extra fields", () => Object.assign(new Error("failed"), { spawnargs: [SECRET], path: SECRET })],
    ["a string", () => SECRET],
    ["a cause", () => new Error("failed", { cause: new AgentVmError("EACCES", SECRET) })],
    ["a name", () => Object.assign(new Error("failed"), { name: `Error ${SECRET}` })],
    ["a code", () => Object.assign(new Error("failed"), { code: `/${SECRET}` })],
  ],
  11,
)("shows %s without what it repeats, with a message and a stack", async (_name, make) => {
  const shown = shownError(make());
  expect(JSON.stringify(shown)).not.toContain(SECRET);
  expect(shown.message).not.toBe("");
  expect(shown.stack).toMatch(/\n {4}at /);
});

test("shows the text of the server's own errors, and their cause", () => {
  const shown = shownError(storageFailed("The VM's storage failed", new Error("disk is full")));
  expect(shown).toMatchObject({
    type: "AgentVmError",
    code: "storage_failed",
    message: expect.stringContaining("disk is full"),
    cause: { message: "disk is full" },
  });
});
