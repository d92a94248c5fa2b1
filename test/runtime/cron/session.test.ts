import { expect, test, vi } from "vitest";
import type { SerializableCronJobOptions } from "../../../src/api/methods/cron-types.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { testRows } from "../../support/rows.ts";
import { behaving, count, open, scriptedVm } from "../../support/scripted.ts";

vi.mock("../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/runtime/sessions/limits.ts")>()),
  MAX_SESSIONS: 2,
  CANCEL_GRACE_MS: 300,
}));

/** Runs a prompt once by the clock. */
async function runOnce(
  prompt: string,
  words = "",
  options: Partial<SerializableCronJobOptions> = {},
  machine = scriptedVm(),
) {
  const { vm } = machine;
  const { id } = await vm.scheduleCron({
    schedule: "@yearly",
    action: { type: "session", agentType: "scripted", prompt, options: behaving(words) },
    ...options,
  });
  await vm.runCronJob(id);
  const { event } = await machine.event("cronEvent", (payload) => payload.event.type !== "cron:fire");
  const [run] = await vm.listCronRuns(id);
  return { vm, run, event };
}

test("a prompt runs in a new session, which is closed and keeps its transcript", async () => {
  const { vm, run, event } = await runOnce("think hm; say all ; say done; daemon 987050");
  expect(event).toEqual(expect.objectContaining({ type: "cron:complete" }));
  expect(run).toMatchObject({ status: "completed", outputTail: "alldone", sessionId: expect.any(String) });
  expect(run).not.toHaveProperty("exitCode");
  expect(run).not.toHaveProperty("reason");
  expect(await vm.listSessions()).toEqual([]);
  expect(await vm.listPersistedSessions()).toMatchObject([{ sessionId: run?.sessionId, closed: true }]);
  expect(await vm.getSessionEvents(run?.sessionId ?? "")).toHaveLength(4);
  expect([await count(vm), await count(vm, "sleep")]).toEqual([0, 0]);
});

test("a job of an unknown agent is refused, and changes nothing", async () => {
  const { vm } = scriptedVm();
  const action = { type: "session", agentType: "nobody", prompt: "say x" } as const;
  await expect(vm.scheduleCron({ schedule: "@yearly", action })).rejects.toMatchObject({
    code: "unknown_agent_type",
  });
  expect(await vm.listCronJobs()).toEqual([]);
});

test("permissions are denied, unless the session allows them", async () => {
  const prompt = "permission bash allow_once,reject_once";
  const machine = scriptedVm({ sessions: { permissionTimeoutMs: 100 } });
  const { run } = await runOnce(prompt, "", {}, machine);
  expect(run).toMatchObject({ status: "completed", outputTail: "bash: reject_once" });
});

testRows(
  [
    ["say so far; error -32603 out of luck", "", { status: "failed", reason: "agent_error" }, "out of luck"],
    ["crash 3", "", { status: "failed", reason: "agent_crashed" }, "exit code 3"],
    ["say x", "crash-new=4", { status: "failed", reason: "agent_failed" }, "exit code 4"],
  ] as const,
  1,
)("a run that fails: %s %s", async (prompt, words, outcome, message) => {
  const { vm, run, event } = await runOnce(prompt, words);
  expect(run).toMatchObject(outcome);
  expect(event).toMatchObject({ type: "cron:error", reason: outcome.reason });
  expect((event as { error: string }).error).toContain(message);
  expect(await vm.listSessions()).toEqual([]);
  expect(await count(vm)).toBe(0);
});

testRows([["deaf on"], ["until-cancel"]], 1)("a run past its timeout is cut: %s", async (prompt) => {
  const { vm, run, event } = await runOnce(prompt, "", { timeoutMs: 300 });
  expect(run).toMatchObject({ status: "timeout", reason: "timeout" });
  expect(event).toMatchObject({ type: "cron:error", error: "The run took longer than 300 ms" });
  expect(await vm.listSessions()).toEqual([]);
  expect(await count(vm)).toBe(0);
});

test("a run fails if the session limit is reached", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  await Promise.all([open(machine.vm), open(machine.vm)]);
  const { run } = await runOnce("say x", "", {}, machine);
  expect(run).toMatchObject({ status: "failed", reason: "limit_exceeded" });
});

test("a run fails whose agent the server no longer has", { tags: ["slow"] }, async () => {
  const store = new MemoryStore();
  const before = scriptedVm({}, { store });
  const action = { type: "session", agentType: "scripted", prompt: "say x" } as const;
  const { id } = await before.vm.scheduleCron({ schedule: "@yearly", action });
  await before.vm.dispose("sleep");
  const { vm, event } = scriptedVm({ agents: {} }, { store });
  await vm.runCronJob(id);
  await event("cronEvent", (payload) => payload.event.type !== "cron:fire");
  expect(await vm.listCronRuns(id)).toMatchObject([{ status: "failed", reason: "unknown_agent_type" }]);
});

test("the timeout also cuts a run whose agent is starting", { tags: ["slow"] }, async () => {
  const { vm, run, event } = await runOnce("say x", "hang-new", { timeoutMs: 1000 });
  expect(run).toMatchObject({ status: "timeout", reason: "timeout" });
  expect(run).not.toHaveProperty("sessionId");
  expect(event).toMatchObject({ type: "cron:error", error: "The run took longer than 1000 ms" });
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect(await count(vm)).toBe(0);
});
