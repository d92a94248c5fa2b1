// @module-tag attack
import { expect, test, vi } from "vitest";
import { rawAgent, rawVm } from "../../support/raw-agent.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const MIB = 1024 * 1024;

vi.mock("../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/runtime/sessions/limits.ts")>()),
  MAX_SESSIONS_BYTES: 8 * 1024 * 1024,
  MAX_LISTED_PERMISSION_BYTES: 5 * 1024 * 1024,
}));

test("the prompts of all sessions of a VM share memory, and one past it is refused", async () => {
  const { vm } = rawVm();
  const sessions = [await vm.createSession("raw"), await vm.createSession("raw")];
  const waiting: Promise<unknown>[] = [];
  for (let count = 0; count < 5; count++) {
    const { sessionId } = sessions[count % 2]!;
    waiting.push(
      vm
        .sendPrompt(sessionId, `await 0; /*${"x".repeat(MIB - 4096)}*/ await new Promise(() => {})`)
        .catch(() => undefined),
    );
  }
  const { sessionId } = await vm.createSession("raw");
  expect(await failure(vm.sendPrompt(sessionId, `/*${"x".repeat(4 * MIB)}*/`))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_SESSIONS_BYTES" },
  });
  for (const session of sessions) await vm.destroySession(session.sessionId);
  await Promise.all(waiting);
  const { text } = await vm.sendPrompt(sessionId, `/*${"x".repeat(4 * MIB)}*/ return "there is room again"`);
  expect(text).toBe("there is room again");
});

test("lines that have begun share memory, and an agent that goes on past it is killed", async () => {
  const { vm } = rawVm();
  const script = `write('{"a":"' + "x".repeat(${2 * MIB})); await new Promise(() => {})`;
  const sessions = await Promise.all(Array.from({ length: 5 }, () => vm.createSession("raw")));
  const prompts = sessions.map(({ sessionId }) => vm.sendPrompt(sessionId, script));
  expect(await Promise.race(prompts.map(failure))).toMatchObject({
    code: "agent_crashed",
    message: expect.stringContaining("wrote too much"),
  });
  await Promise.all(sessions.map(({ sessionId }) => vm.destroySession(sessionId)));
  await Promise.allSettled(prompts);
  const { sessionId } = await vm.createSession("raw");
  expect((await vm.sendPrompt(sessionId, 'return "x".repeat(3)')).text).toBe("xxx");
});

test("a request of an agent pays for its values, and not for its text alone", async () => {
  const { vm } = startVm(rawAgent(), undefined, {}, { hasListeners: () => true });
  const { sessionId } = await vm.createSession("raw");
  const { text } = await vm.sendPrompt(
    sessionId,
    `const rawInput = Array(40000).fill([]);
     const asked = Array.from({ length: 8 }, () => ask("session/request_permission", { toolCall: { rawInput }, options: [] }));
     const late = await Promise.all(asked.slice(3));
     return late.map(({ error }) => error.message).join()`,
  );
  expect(text).toBe(Array(5).fill("Too many requests at once").join());
});

test("getSession lists large permission requests without their parameters", async () => {
  const { vm, event } = startVm(rawAgent(), undefined, {}, { hasListeners: () => true });
  const { sessionId } = await vm.createSession("raw");
  const prompt = vm.sendPrompt(
    sessionId,
    `const rawInput = "x".repeat(1_000_000);
     await Promise.all([1, 2, 3].map((title) => ask("session/request_permission", { toolCall: { title: title + rawInput, rawInput }, options: [] })));`,
  );
  const asked = new Set<string>();
  await event("permissionRequest", ({ request }) => asked.add(request.permissionId).size === 3);
  const { pendingPermissions } = await vm.getSession(sessionId);
  expect(pendingPermissions.map(({ params }) => params !== undefined)).toEqual([true, true, false]);
  expect(pendingPermissions.map(({ description }) => description?.length)).toEqual([4096, 4096, 4096]);
  await vm.cancelSession(sessionId);
  await prompt;
});
