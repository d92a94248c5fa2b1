// @module-tag slow
import { afterEach, expect, test, vi } from "vitest";
import { testRows } from "../../../support/rows.ts";
import { ask, count, open, SCRIPTED, scriptedVm } from "../../../support/scripted.ts";
import { failure } from "../../../support/until.ts";

/** Timeouts of an agent's answers to `initialize` and to `session/new`. A test shortens the one that it awaits. */
const timeouts = vi.hoisted(() => ({ start: 60_000, session: 60_000 }));

vi.mock("../../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../../src/runtime/sessions/limits.ts")>()),
  get AGENT_START_TIMEOUT_MS() {
    return timeouts.start;
  },
  get AGENT_SESSION_TIMEOUT_MS() {
    return timeouts.session;
  },
}));

afterEach(() => {
  timeouts.start = 60_000;
  timeouts.session = 60_000;
});

/** Returns the error of a session that cannot be opened, and checks that no session and no process is left. */
async function refusal(words: string, agents = { scripted: SCRIPTED }) {
  const { vm, events } = scriptedVm({ agents });
  const error = (await failure(open(vm, words))) as Error & { metadata?: Record<string, unknown> };
  expect(await vm.listSessions()).toEqual([]);
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect([await count(vm), await count(vm, "sleep")]).toEqual([0, 0]);
  expect(events.filter(({ name }) => name === "sessionEvent" || name === "agentCrashed")).toEqual([]);
  return error;
}

testRows(
  [
    ["crash-start=3", { exitCode: 3, stderr: "scripted crash at start\n" }],
    ["crash-initialize=4", { exitCode: 4, stderr: "scripted crash at initialize\n" }],
    ["crash-new=5", { exitCode: 5, stderr: "scripted crash at new\n" }],
  ] as const,
  1,
)("if the agent exits by %s, the error has its exit code and stderr", async (words, end) => {
  const error = await refusal(`${words} daemon=987001`);
  expect(error).toMatchObject({ code: "agent_failed", metadata: { ...end, signal: null } });
  expect(error.message).toContain(`exit code ${end.exitCode}`);
  expect(error.message).toContain(end.stderr.trim());
});

testRows(
  [
    ["error-initialize", "initialize", "scripted error at initialize\n"],
    ["error-new", "a session", "scripted error at new\n"],
  ] as const,
  1,
)(
  "if the agent answers with %s, the error names the method and has the stderr",
  async (words, method, stderr) => {
    const error = await refusal(`${words} daemon=987002`);
    expect(error).toMatchObject({ code: "agent_failed", metadata: { stderr } });
    expect(error.message).toContain(method);
    expect(error.message).toContain("scripted error");
  },
);

test.each([
  ["hang-initialize", "initialize", { start: 6_000 }],
  ["hang-new", "session/new", { session: 1_500 }],
])("an agent that never answers by %s is killed after the timeout", async (words, method, short) => {
  Object.assign(timeouts, short);
  const error = await refusal(`${words} stderr=waiting_for_godot ignore-eof ignore-term daemon=987003`);
  expect(error).toMatchObject({ code: "agent_failed", metadata: { stderr: "waiting for godot\n" } });
  expect(error.message).toContain(`${method} within ${Object.values(short)[0]} ms`);
});

test("refuses an agent with another version of the protocol", { tags: ["slow"] }, async () => {
  const error = await refusal("version=2");
  expect(error).toMatchObject({ code: "agent_failed" });
  expect(error.message).toContain("version 2");
});

test("the error says that the agent requires authentication", async () => {
  const error = await refusal("auth");
  expect(error).toMatchObject({ code: "agent_failed" });
  expect(error.message).toMatch(/^Agent scripted refused a session: Authentication required/);
});

test("a program that does not exist gives exit code 127", async () => {
  const error = await refusal("", { scripted: { ...SCRIPTED, command: "no-such-program" } });
  expect(error).toMatchObject({ code: "agent_failed", metadata: { exitCode: 127 } });
  expect(error.message).toContain("no-such-program");
});

test("a program that exits with 0 before it answers fails the session", { tags: ["slow"] }, async () => {
  const error = await refusal("", { scripted: { ...SCRIPTED, command: "true" } });
  expect(error).toMatchObject({ code: "agent_failed", metadata: { exitCode: 0 } });
});

test("an agent that does not start does not affect another session", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const failed = failure(open(vm, "crash-new=1"));
  expect(await ask(vm, id, "say fine")).toBe("fine");
  expect(await failed).toMatchObject({ code: "agent_failed" });
  expect(await ask(vm, id, "say still")).toBe("still");
});
