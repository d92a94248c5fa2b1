// @module-tag any-user
// @module-tag slow
import { expect, test } from "vitest";
import type { SessionEventPayload } from "../../src/api/events.ts";
import { marked } from "../support/marked.ts";
import { seededRandom } from "../support/random.ts";
import { testRows } from "../support/rows.ts";
import { ask, behaving, brief, open } from "../support/scripted.ts";
import { startSessionServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { until } from "../support/until.ts";

test("kill -9 during replies keeps every event that a client has received, and the session continues", {
  tags: ["slow"],
  timeout: 180_000,
}, async () => {
  const dataDir = testFolder();
  const first = await startSessionServer(dataDir);
  const id = await open(first.vm, "load");
  await ask(first.vm, id, "say begin");
  let run = first;
  let received: SessionEventPayload[] = [];
  for (let round = 0; round < 6; round++) {
    const conn = run.vm.connect();
    received = [];
    conn.on("sessionEvent", (payload) => void received.push(payload));
    await conn.exists("/tmp");
    conn.sendPrompt(id, "flood 1000000").catch(() => undefined);
    const enough = 1 + seededRandom(round).below(3_000);
    await until(() => received.length >= enough);
    await run.kill();
    run = await startSessionServer(dataDir);
    expect(await run.vm.listSessions()).toMatchObject([{ sessionId: id, agentType: "scripted" }]);
    const kept = await run.vm.getSequencedEvents(id);
    expect(kept.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...kept.keys()]);
    for (const { sequenceNumber, event } of received)
      expect(kept[sequenceNumber]?.notification).toEqual(event);
    expect(await ask(run.vm, id, "say round")).toBe("round");
  }
  const said = (await run.vm.getSessionEvents(id)).map(({ event }) => brief(event));
  expect(said.filter((text) => text === "round")).toHaveLength(6);
});

testRows(
  [
    ["load", "load"],
    ["resume", "resume"],
  ] as const,
  1,
)("after kill -9 the agent continues its session by %s", async (words, origin) => {
  const dataDir = testFolder();
  const first = await startSessionServer(dataDir);
  const id = await open(first.vm, words);
  await ask(first.vm, id, "say the first turn");
  await first.kill();
  const second = await startSessionServer(dataDir);
  expect(await ask(second.vm, id, "origin")).toBe(origin);
  expect(JSON.parse(await ask(second.vm, id, "context"))).toEqual(["say the first turn", "origin"]);
});

test("after kill -9 an agent without load and resume gets the conversation in its prompt", {
  tags: ["slow"],
}, async () => {
  const dataDir = testFolder();
  const first = await startSessionServer(dataDir);
  const id = await open(first.vm);
  await ask(first.vm, id, "say the word is sesame");
  await first.kill();
  const second = await startSessionServer(dataDir);
  expect(JSON.parse(await ask(second.vm, id, "prompt"))).toContain("the word is sesame");
});

test("after kill -9 closed sessions stay closed, destroyed sessions stay gone, and created sessions exist", {
  tags: ["slow"],
}, async () => {
  const dataDir = testFolder();
  const first = await startSessionServer(dataDir);
  const [closed, destroyed] = await Promise.all([open(first.vm), open(first.vm)]);
  await first.vm.closeSession(closed);
  await first.vm.destroySession(destroyed);
  const { sessionId: made } = await first.vm.createSession("scripted", behaving("bare"));
  await first.kill();
  const { vm } = await startSessionServer(dataDir);
  expect((await vm.listSessions()).map(({ sessionId }) => sessionId)).toEqual([made]);
  expect((await vm.listPersistedSessions()).map(({ sessionId }) => sessionId)).toEqual([closed, made]);
});

testRows<["SIGKILL" | "SIGTERM"]>([["SIGKILL"], ["SIGTERM"]], 1)(
  "agents and all processes that they started die with the server (%s)",
  async (signal) => {
    const { server, vm } = await startSessionServer();
    const mark = `97${process.pid}${signal.length}${signal === "SIGKILL" ? 1 : 2}`;
    const id = await open(vm, `ignore-eof ignore-term daemon=${mark}`);
    await ask(vm, id, `daemon ${mark}; child ${mark}`);
    await until(() => marked(mark).length >= 3);
    vm.sendPrompt(id, "deaf on").catch(() => undefined);
    server.process.kill(signal);
    await server.exited;
    await until(() => marked(mark).length === 0);
  },
);
