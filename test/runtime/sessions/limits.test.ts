import { expect, test, vi } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { ask, brief, count, open, scriptedVm, withScripted } from "../../support/scripted.ts";
import { failure, until } from "../../support/until.ts";

vi.mock("../../../src/api/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/api/limits.ts")>()),
  MAX_SESSION_EVENTS: 1_000,
}));
vi.mock("../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/runtime/sessions/limits.ts")>()),
  MAX_SESSIONS: 3,
  MAX_PROMPT_BYTES: 10_000,
  MAX_PENDING_PERMISSIONS: 3,
  MAX_CLOSED_SESSIONS: 2,
}));

test("refuses a session above MAX_SESSIONS until another one is closed", async () => {
  const { vm } = scriptedVm();
  const [first = ""] = await Promise.all([open(vm), open(vm), open(vm)]);
  expect(await failure(open(vm))).toMatchObject({ code: "limit_exceeded" });
  expect(await count(vm)).toBe(3);
  await vm.closeSession(first);
  const next = await open(vm);
  expect(await failure(vm.resumeSession(first))).toMatchObject({ code: "limit_exceeded" });
  await vm.destroySession(next);
  expect(await vm.resumeSession(first)).toMatchObject({ sessionId: first });
});

test("sessions that fail to start do not count towards MAX_SESSIONS", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  for (let round = 0; round < 4; round++) await failure(open(vm, "crash-start=1"));
  await Promise.all([open(vm), open(vm), open(vm)]);
});

test("permission requests above the limit are rejected at once, and the transcript has the reason", {
  tags: ["slow"],
}, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "permissions 5 allow_once,reject_once");
  await until(async () => (await vm.getSession(id)).pendingPermissions.length === 3);
  await until(async () => JSON.stringify(await vm.getSessionEvents(id)).split('"too_many"').length === 3);
  for (const { permissionId } of (await vm.getSession(id)).pendingPermissions) {
    await vm.respondPermission(id, permissionId, "once");
  }
  const texts = ["allow_once", "allow_once", "allow_once", "reject_once", "reject_once"];
  expect((await turn).text).toBe(texts.map((kind, index) => `${index}: ${kind}`).join(", "));
});

test("only the newest closed sessions are kept", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const ids: string[] = [];
  for (let round = 0; round < 4; round++) {
    const id = await open(vm);
    await vm.closeSession(id);
    ids.push(id);
  }
  expect((await vm.listPersistedSessions()).map(({ sessionId }) => sessionId)).toEqual(ids.slice(2));
});

test("refuses a prompt that is too long", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "", {});
  expect(await failure(vm.sendPrompt(id, "x".repeat(10_001)))).toMatchObject({ code: expect.any(String) });
  expect(await failure(vm.sendPrompt(id, "ä".repeat(5_001)))).toMatchObject({ code: expect.any(String) });
  expect((await vm.getSession(id)).lastSequenceNumber).toBe(-1);
  expect(await ask(vm, id, `say ${"x".repeat(9_000)}`)).toBe("x".repeat(9_000));
});

test("the oldest events above the limit are dropped, and an event says so", {
  tags: ["slow"],
}, async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm(), "load");
  await ask(machine.vm(), id, "flood 5000");
  const check = async () => {
    const events = await machine.vm().getSequencedEvents(id);
    // The server drops 1,000 events at once and puts one event in their place.
    expect(events.length).toBeLessThanOrEqual(2_001);
    expect(events.length).toBeGreaterThan(1_000);
    const numbers = events.map(({ sequenceNumber }) => sequenceNumber);
    expect(numbers.at(-1)).toBe((await machine.vm().getSession(id)).lastSequenceNumber);
    expect(numbers.at(-1)).toBeGreaterThanOrEqual(5_000);
    // The first event stands for the dropped ones. The events after it have no gap.
    const [first, ...rest] = events;
    expect(first!.notification.method).toMatch(/^_agentvm\//);
    expect(rest.map(({ sequenceNumber }) => sequenceNumber)).toEqual(
      rest.map((_, index) => rest[0]!.sequenceNumber + index),
    );
    expect(rest[0]!.sequenceNumber).toBe(first!.sequenceNumber + 1);
  };
  await check();
  await machine.crash();
  await check();
  expect(await ask(machine.vm(), id, "say on")).toBe("on");
  const last = (await machine.vm().getSessionEvents(id)).at(-1)!;
  expect(brief(last.event)).toBe("on");
});
