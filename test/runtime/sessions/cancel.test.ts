import { expect, test, vi } from "vitest";
import { ask, brief, count, open, scriptedVm, sessionEvents } from "../../support/scripted.ts";
import { until } from "../../support/until.ts";

vi.mock("../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/runtime/sessions/limits.ts")>()),
  // On a busy machine an agent takes a while to answer.
  CANCEL_GRACE_MS: 4_000,
}));

const CANCELLED = { stopReason: "cancelled" };

test("a cancelled prompt returns its text so far, and the next prompt works", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "say started; after-cancel  bye");
  await machine.event("sessionEvent", ({ event }) => brief(event) === "started");
  expect(await vm.cancelPrompt(id)).toMatchObject({ jsonrpc: "2.0", result: { cancelled: true } });
  expect(await turn).toMatchObject({ text: "startedbye", response: { result: CANCELLED } });
  expect(await ask(vm, id, "say on; cancels")).toBe("on1");
});

test("a prompt ends as cancelled even if the agent answers the cancel with an error", {
  tags: ["slow"],
}, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "say started; fail-at-cancel");
  await machine.event("sessionEvent", ({ event }) => brief(event) === "started");
  await vm.cancelPrompt(id);
  expect(await turn).toMatchObject({ text: "started", response: { result: CANCELLED } });
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("the agent gets one notification for many cancels of a turn", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "say started; until-cancel");
  await machine.event("sessionEvent", ({ event }) => brief(event) === "started");
  await Promise.all([
    vm.cancelPrompt(id),
    vm.cancelPrompt(id),
    vm.cancelSession(id),
    vm.cancelPrompt(id),
    vm.cancelSession(id),
  ]);
  expect((await turn).response.result).toEqual(CANCELLED);
  await vm.cancelPrompt(id);
  expect(await ask(vm, id, "cancels")).toBe("1");
  expect(await ask(vm, id, "say fine")).toBe("fine");
});

test("a cancel without a prompt changes nothing", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  expect(await vm.cancelPrompt(id)).toMatchObject({ result: { cancelled: false } });
  expect(await vm.cancelSession(id)).toMatchObject({ result: { cancelled: false } });
  expect(await ask(vm, id, "cancels; say  none")).toBe("0none");
});

test("cancelPrompt keeps queued prompts, and cancelSession cancels them", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const start = async (words: string) => {
    const running = vm.sendPrompt(id, `say ${words}; until-cancel`);
    const waiting = vm.sendPrompt(id, "say waited");
    await machine.event("sessionEvent", ({ event }) => brief(event) === words);
    await until(async () => (await vm.getSession(id)).queuedPrompts === 1);
    return { running, waiting };
  };
  const one = await start("first");
  await vm.cancelPrompt(id);
  expect((await one.running).response.result).toEqual(CANCELLED);
  expect((await one.waiting).text).toBe("waited");
  const two = await start("second");
  await vm.cancelSession(id);
  expect((await two.running).response.result).toEqual(CANCELLED);
  expect(await two.waiting).toMatchObject({ text: "", response: { result: CANCELLED } });
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("a cancel answers a pending permission request", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "permission rm allow_once,reject_once");
  await machine.event("permissionRequest");
  await vm.cancelPrompt(id);
  expect(await turn).toMatchObject({ text: "rm: cancelled", response: { result: CANCELLED } });
  expect((await vm.getSession(id)).pendingPermissions).toEqual([]);
});

test("a permission request after the cancel is answered as cancelled", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "say go; permissions 3 allow_once; until-cancel");
  await machine.event("permissionRequest");
  await vm.cancelPrompt(id);
  expect(await turn).toMatchObject({ text: "go0: cancelled, 1: cancelled, 2: cancelled" });
});

test("an agent that ignores a cancel is killed, its prompt ends as cancelled, and the session continues", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "load");
  expect(await ask(vm, id, "say remember me")).toBe("remember me");
  const before = await ask(vm, id, "pid");
  const turn = vm.sendPrompt(id, "daemon 987010; deaf busy");
  await machine.event("sessionEvent", ({ event }) => brief(event) === "busy");
  await vm.cancelPrompt(id);
  expect(await turn).toMatchObject({ text: "busy", response: { result: CANCELLED } });
  await until(async () => (await count(vm, "sleep")) === 0);
  expect(await ask(vm, id, "origin")).toBe("load");
  expect(await ask(vm, id, "pid")).not.toBe(before);
  expect(sessionEvents(machine, id).map(({ sequenceNumber }) => sequenceNumber)).toEqual([
    ...sessionEvents(machine, id).keys(),
  ]);
  // The server ended the agent, so there is no crash to report.
  expect(machine.events.filter(({ name }) => name === "agentCrashed")).toEqual([]);
});

test("queued prompts run with a new agent if the old one ignored a cancel", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "resume");
  const deaf = vm.sendPrompt(id, "deaf busy");
  const next = vm.sendPrompt(id, "origin");
  await machine.event("sessionEvent", ({ event }) => brief(event) === "busy");
  await vm.cancelPrompt(id);
  expect((await deaf).response.result).toEqual(CANCELLED);
  expect((await next).text).toBe("resume");
});

test("a cancel before the agent has received the prompt does not hang", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  for (let round = 0; round < 20; round++) {
    const turn = vm.sendPrompt(id, "until-cancel");
    await vm.cancelPrompt(id);
    expect((await turn).response.result).toEqual(CANCELLED);
  }
  expect(await ask(vm, id, "say fine")).toBe("fine");
});
