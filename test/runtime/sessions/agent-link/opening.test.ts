import { expect, test } from "vitest";
import { rawVm } from "../../../support/raw-agent.ts";

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
