import { expect, test, vi } from "vitest";
import { ask, count, open, SCRIPTED, scriptedVm } from "../../support/scripted.ts";
import { failure } from "../../support/until.ts";

vi.mock("../../../src/api/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/api/limits.ts")>()),
  AGENT_START_TIMEOUT_MS: 1_500,
  AGENT_SESSION_TIMEOUT_MS: 1_500,
}));

/** The error of a session that cannot be opened; afterwards nothing of it is left. */
async function refusal(words: string, agents = { scripted: SCRIPTED }) {
  const { vm, events } = scriptedVm({ agents });
  const error = (await failure(open(vm, words))) as Error & { metadata?: Record<string, unknown> };
  expect(await vm.listSessions()).toEqual([]);
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect([await count(vm), await count(vm, "sleep")]).toEqual([0, 0]);
  expect(events.filter(({ name }) => name === "sessionEvent" || name === "agentCrashed")).toEqual([]);
  return error;
}

test.each([
  ["crash-start=3", { exitCode: 3, stderr: "scripted crash at start\n" }],
  ["crash-initialize=4", { exitCode: 4, stderr: "scripted crash at initialize\n" }],
  ["crash-new=5", { exitCode: 5, stderr: "scripted crash at new\n" }],
])("an agent that exits by %s: the error has its exit code and its stderr", async (words, end) => {
  const error = await refusal(`${words} daemon=987001`);
  expect(error).toMatchObject({ code: "agent_failed", metadata: { ...end, signal: null } });
  expect(error.message).toContain(`exit code ${end.exitCode}`);
  expect(error.message).toContain(end.stderr.trim());
});

test.each([
  ["error-initialize", "initialize", "scripted error at initialize\n"],
  ["error-new", "a session", "scripted error at new\n"],
])("an agent that answers with %s", async (words, method, stderr) => {
  const error = await refusal(`${words} daemon=987002`);
  expect(error).toMatchObject({ code: "agent_failed", metadata: { stderr } });
  expect(error.message).toContain(method);
  expect(error.message).toContain("scripted error");
});

test.each([
  ["hang-initialize", "initialize"],
  ["hang-new", "session/new"],
])("an agent that never answers by %s is given up and killed", async (words, method) => {
  const error = await refusal(`${words} stderr=waiting_for_godot ignore-eof ignore-term daemon=987003`);
  expect(error).toMatchObject({ code: "agent_failed", metadata: { stderr: "waiting for godot\n" } });
  expect(error.message).toContain(`${method} within 1500 ms`);
});

test("an agent of another version of the protocol is refused", async () => {
  const error = await refusal("version=2");
  expect(error).toMatchObject({ code: "agent_failed" });
  expect(error.message).toContain("version 2");
});

test("an agent that wants to be authenticated says so in the error", async () => {
  const error = await refusal("auth");
  expect(error).toMatchObject({ code: "agent_failed" });
  expect(error.message).toMatch(/^Agent scripted refused a session: Authentication required/);
});

test("a program that does not exist", async () => {
  const error = await refusal("", { scripted: { ...SCRIPTED, command: "no-such-program" } });
  expect(error).toMatchObject({ code: "agent_failed", metadata: { exitCode: 127 } });
  expect(error.message).toContain("no-such-program");
});

test("a program that speaks no protocol and ends well", async () => {
  const error = await refusal("", { scripted: { ...SCRIPTED, command: "true" } });
  expect(error).toMatchObject({ code: "agent_failed", metadata: { exitCode: 0 } });
});

test("one agent that does not start does not disturb another", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const failed = failure(open(vm, "crash-new=1"));
  expect(await ask(vm, id, "say fine")).toBe("fine");
  expect(await failed).toMatchObject({ code: "agent_failed" });
  expect(await ask(vm, id, "say still")).toBe("still");
});
