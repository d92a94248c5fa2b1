// @module-tag attack
import { expect, test, vi } from "vitest";
import { AgentProcess } from "../../../../src/runtime/sessions/agent-link/agent-process.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { rawVm } from "../../../support/raw-agent.ts";

test("pauses an agent that writes more than the store takes before it has opened its session", async () => {
  const setPaused = vi.spyOn(AgentProcess.prototype, "setPaused");
  const store = new MemoryStore();
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const put = store.put.bind(store);
  store.put = async (entries) => {
    if (entries.some(([key]) => key.startsWith("session"))) await opened;
    await put(entries);
  };
  const { vm } = rawVm(
    `answers["session/new"] = () => {
       for (let chunk = 0; chunk < 16; chunk++) write(('{"method":"x","params":"' + "y".repeat(4096) + '"}\\n').repeat(256));
       return { sessionId };
     };`,
    { store },
  );
  const creating = vm.createSession("raw");
  const isPaused = () => setPaused.mock.calls.some(([reason, isPaused]) => reason === "events" && isPaused);
  await vi.waitUntil(isPaused, { timeout: 30_000 }).finally(open);
  const { sessionId } = await creating;
  expect(await vm.getSession(sessionId)).toMatchObject({ lastSequenceNumber: 16 * 256 - 1 });
});
