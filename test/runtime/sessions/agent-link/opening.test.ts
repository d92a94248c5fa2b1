import { expect, test } from "vitest";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { faultyStore } from "../../../support/faulty-store.ts";
import { rawAgent, rawVm } from "../../../support/raw-agent.ts";
import { failure } from "../../../support/until.ts";
import { startVm } from "../../../support/vm.ts";

test("an update right after the answer that opens a session counts, and is in the transcript", async () => {
  const { vm } = rawVm(`
    const modes = { currentModeId: "ask", availableModes: [{ id: "ask" }, { id: "code" }] };
    const report = { sessionUpdate: "current_mode_update", currentModeId: "code" };
    const results = { "session/new": { sessionId, modes }, "session/load": { modes } };
    for (const method in results) answers[method] = () => new Promise(() => {});
    require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
      const { id, method } = JSON.parse(line);
      const messages = [{ id, result: results[method] }, { method: "session/update", params: { sessionId, update: report } }];
      if (method in results) write(messages.map((message) => JSON.stringify(message) + "\\n").join(""));
    });
  `);
  const { sessionId } = await vm.createSession("raw");
  expect(await vm.getModes(sessionId)).toMatchObject({ currentModeId: "code" });
  await vm.closeSession(sessionId);
  const { lastSequenceNumber } = await vm.getSession(sessionId);
  await vm.resumeSession(sessionId);
  expect(await vm.getModes(sessionId)).toMatchObject({ currentModeId: "code" });
  await vm.closeSession(sessionId);
  expect(await vm.getSession(sessionId)).toMatchObject({ lastSequenceNumber: lastSequenceNumber + 1 });
});

test("permission requests of an agent whose start fails are cancelled", async () => {
  const { vm } = startVm(
    rawAgent(`
      answers["session/load"] = async () => {
        ask("session/request_permission", { toolCall: { title: "old" }, options: [] });
        await new Promise(() => setTimeout(() => process.exit(1), 100));
      };`),
    undefined,
    {},
    { hasListeners: () => true },
  );
  const { sessionId } = await vm.createSession("raw");
  await vm.closeSession(sessionId);
  expect(await failure(vm.resumeSession(sessionId))).toMatchObject({ code: "agent_failed" });
  expect(await vm.getSession(sessionId)).toMatchObject({ pendingPermissions: [] });
  const events = await vm.getSequencedEvents(sessionId);
  expect(events.map(({ notification }) => notification)).toMatchObject([
    { method: "session/request_permission" },
    { method: "_agentvm/permission_resolved", params: { reason: "cancelled" } },
  ]);
});

test("an agent whose opening cannot be stored ends, and the next one has its terminals", async () => {
  const store = new MemoryStore();
  let isBroken = false;
  const faulty = faultyStore(store, (_call, method) => (method === "put" && isBroken ? "error" : "none"));
  const { vm } = rawVm("", { store: faulty });
  const { sessionId } = await vm.createSession("raw");
  await vm.closeSession(sessionId);
  isBroken = true;
  expect(await failure(vm.resumeSession(sessionId))).toBeInstanceOf(Error);
  isBroken = false;
  expect(await vm.getSession(sessionId)).toMatchObject({ status: "closed", pid: null });
  expect((await vm.allProcesses()).filter(({ args }) => args.includes("-e"))).toEqual([]);
  await vm.resumeSession(sessionId);
  const create =
    'const { result } = await ask("terminal/create", { sessionId, command: "true" }); return result.terminalId';
  expect((await vm.sendPrompt(sessionId, create)).text).toBe("terminal-1");
});
