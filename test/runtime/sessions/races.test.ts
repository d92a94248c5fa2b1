// @module-tag slow
import { expect, test, vi } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { rawAgent, rawVm } from "../../support/raw-agent.ts";
import { count, open, scriptedVm, withScripted } from "../../support/scripted.ts";
import { failure } from "../../support/until.ts";

vi.mock("../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/runtime/sessions/limits.ts")>()),
  MAX_CLOSED_SESSIONS: 2,
}));

test("destroySession during resumeSession ends the agent and deletes the session", async () => {
  const machine = durableVm(withScripted);
  for (let round = 0; round < 6; round++) {
    const vm = machine.vm();
    const id = await open(vm, "load");
    if (round % 2 === 0) await vm.closeSession(id);
    const calls = [() => vm.destroySession(id), () => vm.resumeSession(id)];
    if (round % 3 === 0) calls.reverse();
    await Promise.allSettled(calls.map((call) => call()));
    expect(await vm.listPersistedSessions()).toEqual([]);
    expect(await count(vm)).toBe(0);
    expect(await machine.store.list("session/")).toEqual([]);
  }
});

test("closing many sessions at once drops the oldest ones, and no call fails", async () => {
  const { vm } = scriptedVm();
  const ids: string[] = [];
  for (let round = 0; round < 6; round++) ids.push(await open(vm));
  const closed = await Promise.allSettled(ids.map((id) => vm.closeSession(id)));
  expect(closed.map(({ status }) => status)).toEqual(ids.map(() => "fulfilled"));
  expect((await vm.listPersistedSessions()).length).toBe(2);
});

test.each(["initialize", "session/new"])(
  "createSession that waits for %s fails with vm_stopped when the VM ends",
  async (at) => {
    const { vm } = rawVm(`answers["${at}"] = () => new Promise(() => {});`, { store: new MemoryStore() });
    const creating = failure(vm.createSession("raw"));
    await vi.waitUntil(async () => (await vm.allProcesses()).some(({ args }) => args.includes("-e")));
    await vm.dispose("sleep");
    expect(await creating).toMatchObject({ code: "vm_stopped" });
  },
);

test("restoreSnapshot ends a session that is being created", async () => {
  const machine = durableVm(rawAgent(`answers["session/new"] = () => new Promise(() => {});`));
  const vm = machine.vm();
  const { id } = await vm.createSnapshot();
  const creating = failure(vm.createSession("raw"));
  await vi.waitUntil(async () => (await vm.allProcesses()).some(({ args }) => args.includes("-e")));
  await vm.restoreSnapshot(id);
  expect(await creating).toMatchObject({ code: "vm_stopped" });
});

test("resumeSession fails if the session is closed meanwhile", async () => {
  const machine = durableVm(rawAgent(`answers["session/load"] = () => new Promise(() => {});`));
  const { sessionId } = await machine.vm().createSession("raw");
  await machine.vm().closeSession(sessionId);
  const resuming = failure(machine.vm().resumeSession(sessionId));
  await vi.waitUntil(async () => (await machine.vm().allProcesses()).some(({ args }) => args.includes("-e")));
  await machine.vm().closeSession(sessionId);
  expect(await resuming).toMatchObject({ code: "session_not_found" });
});

test("closeSession keeps the session that it closes, and drops the one that was closed first", async () => {
  const machine = durableVm(rawAgent());
  const { vm } = machine;
  const ids: string[] = [];
  for (let count = 0; count < 3; count++) ids.push((await vm().createSession("raw")).sessionId);
  const [oldest, middle, newest] = ids as [string, string, string];
  await vm().closeSession(newest);
  await vm().closeSession(middle);
  await machine.sleep();
  await vm().closeSession(oldest);
  const kept = await vm().listPersistedSessions();
  expect(kept.map(({ sessionId }) => sessionId)).toEqual([oldest, middle]);
});

/** An agent that does not end before it is killed, and does not answer setMode. */
const SLOW_TO_END = `setInterval(() => {}, 1000); process.on("SIGTERM", () => {});
  answers["session/set_mode"] = () => new Promise(() => require("node:fs").writeFileSync("/tmp/asked", ""));`;

test("a prompt after resumeSession waits for the end of the former agent, and gets the next one", async () => {
  const { vm } = rawVm(SLOW_TO_END);
  const { sessionId } = await vm.createSession("raw");
  const { pid } = await vm.getSession(sessionId);
  const closing = vm.closeSession(sessionId);
  await vi.waitUntil(async () => (await vm.getSession(sessionId)).status === "closed");
  await vm.resumeSession(sessionId);
  expect((await vm.sendPrompt(sessionId, "return 'again'")).text).toBe("again");
  await closing;
  expect(await vm.getSession(sessionId)).toMatchObject({ status: "idle" });
  expect((await vm.getSession(sessionId)).pid).not.toBe(pid);
});

test("setMode fails with the reason of the agent's end", async () => {
  const { vm, events } = rawVm(SLOW_TO_END, { store: new MemoryStore() });
  const { sessionId } = await vm.createSession("raw");
  const whileSetting = async (end: () => Promise<unknown>) => {
    await vm.exec("rm -f /tmp/asked");
    const setting = failure(vm.setMode(sessionId, "code"));
    await vi.waitUntil(() => vm.exists("/tmp/asked"));
    await end();
    return await setting;
  };
  expect(await whileSetting(() => vm.closeSession(sessionId))).toMatchObject({ code: "session_not_found" });
  await vm.resumeSession(sessionId);
  expect(await whileSetting(() => vm.restart())).toMatchObject({ code: "vm_stopped" });
  expect(events.filter(({ name }) => name === "agentCrashed")).toEqual([]);
});
