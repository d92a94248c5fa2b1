// @module-tag attack
import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { heldBytes } from "../../support/heap.ts";
import { rawAgent, rawVm } from "../../support/raw-agent.ts";

const KIB = 1024;
const SESSIONS = 12;

/** Options of nearly MAX_SESSION_OPTIONS_BYTES (512 KiB). */
const LARGE = Object.fromEntries(
  Array.from({ length: 8 }, (_, index) => [`LARGE_${index}`, "x".repeat(60 * KIB)]),
);

/** An agent with modes of 100 KiB as JSON. */
const WITH_MODES = `
  const availableModes = [{ id: "one", name: "One", description: "y".repeat(${100 * KIB}) }];
  answers["session/new"] = () => ({ sessionId, modes: { currentModeId: "one", availableModes } });
`;

/** Bytes of objects, without buffers such as those of the store. */
function heapBytes(): number {
  heldBytes();
  return process.memoryUsage().heapUsed;
}

test("closed sessions leave their options to the store, also after the VM slept", async () => {
  const machine = durableVm(rawAgent());
  const { vm } = machine;
  // The first sleep of a VM loads code that stays.
  await vm().closeSession((await vm().createSession("raw")).sessionId);
  await machine.sleep();
  await vm().listPersistedSessions();
  const before = heapBytes();
  const ids: string[] = [];
  for (let count = 0; count < SESSIONS; count++) {
    const { sessionId } = await vm().createSession("raw", { env: structuredClone(LARGE) });
    await vm().closeSession(sessionId);
    ids.push(sessionId);
  }
  const most = (SESSIONS * 480 * KIB) / 2;
  expect(heapBytes() - before).toBeLessThan(most);
  await machine.sleep();
  expect(await vm().listPersistedSessions()).toHaveLength(SESSIONS + 1);
  expect(heapBytes() - before).toBeLessThan(most);

  const [id = ""] = ids;
  await vm().resumeSession(id);
  expect((await vm().sendPrompt(id, "return process.env.LARGE_7.length")).text).toBe(`${60 * KIB}`);
  await vm().closeSession(id);
  await vm().resumeSession(id);
  expect((await vm().sendPrompt(id, "return process.env.LARGE_7.length")).text).toBe(`${60 * KIB}`);
});

test("a closed session still answers its modes, and its options without a start", async () => {
  const { vm } = rawVm(WITH_MODES);
  const { sessionId } = await vm.createSession("raw", { cwd: "/tmp", permissionPolicy: "allow_all" });
  const modes = await vm.getModes(sessionId);
  await vm.closeSession(sessionId);
  expect(await vm.getModes(sessionId)).toEqual(modes);
  expect(await vm.getConfigOptions(sessionId)).toEqual([]);
  expect(await vm.getSession(sessionId)).toMatchObject({
    status: "closed",
    cwd: "/tmp",
    permissionPolicy: "allow_all",
  });
});

test("a session whose agent does not start again stays closed and keeps its options", async () => {
  const machine = durableVm(
    rawAgent(`
    answers["session/load"] = () => process.exit(1);
    answers["session/new"] = () => require("node:fs").existsSync("/tmp/broken") ? process.exit(1) : { sessionId };
  `),
  );
  const { vm } = machine;
  const { sessionId } = await vm().createSession("raw", { env: LARGE });
  await vm().closeSession(sessionId);
  await vm().writeFile("/tmp/broken", "");
  await expect(vm().resumeSession(sessionId)).rejects.toMatchObject({ code: "agent_failed" });
  await expect(vm().resumeSession(sessionId)).rejects.toMatchObject({ code: "agent_failed" });
  await vm().delete("/tmp/broken");
  await vm().resumeSession(sessionId);
  const { text } = await vm().sendPrompt(sessionId, "return process.env.LARGE_7.length");
  expect(text).toBe(`${60 * KIB}`);
});

test("closed sessions leave large capabilities to the store, and getSession still has them", async () => {
  const machine = durableVm(
    rawAgent(`
    const x = Array.from({ length: 5000 }, () => []);
    answers.initialize = () => ({ protocolVersion: 1, agentCapabilities: { loadSession: true, x }, agentInfo: { name: "large" } });
  `),
  );
  const { vm } = machine;
  const { sessionId, capabilities } = await vm().createSession("raw");
  expect(capabilities.x).toHaveLength(5000);
  await vm().closeSession(sessionId);
  const light = [expect.objectContaining({ sessionId, capabilities: {}, agentInfo: null, closed: true })];
  expect(await vm().listPersistedSessions()).toEqual(light);
  expect(await vm().getSession(sessionId)).toMatchObject({ capabilities, agentInfo: { name: "large" } });
  await machine.sleep();
  expect(await vm().listPersistedSessions()).toEqual(light);
  expect(await vm().getSession(sessionId)).toMatchObject({ capabilities, agentInfo: { name: "large" } });
  expect(await vm().resumeSession(sessionId)).toMatchObject({ capabilities, agentInfo: { name: "large" } });
  expect(await vm().listPersistedSessions()).toMatchObject([{ capabilities, closed: false }]);
});
