import { expect, test } from "vitest";
import type { AgentCrashedEvent, SessionEventPayload } from "../../src/api/events.ts";
import type { VmConnection } from "../../src/client/types.ts";
import { ask, behaving, brief, open } from "../support/scripted.ts";
import { fileServer, type SessionServer, sessionVm } from "../support/servers.ts";
import { failure, until } from "../support/until.ts";

const shared = fileServer("scripted");
let vms = 0;

/** Returns a fresh VM of the shared server. */
const startSession = (): SessionServer => sessionVm(shared(), `vm-${++vms}`);

/** Records the session events that a connection receives. */
function listen(conn: VmConnection): SessionEventPayload[] {
  const received: SessionEventPayload[] = [];
  conn.on("sessionEvent", (payload) => void received.push(payload));
  return received;
}

test("a client receives a session's events in order, before the prompt's answer", async () => {
  const { vm } = startSession();
  const conn = vm.connect();
  const received = listen(conn);
  const record = await conn.createSession("scripted", behaving("load"));
  expect(await conn.listSessions()).toEqual([record]);
  const { response, text } = await conn.prompt(record.sessionId, "think hm; say a; tool t; say b");
  expect(response.result).toEqual({ stopReason: "end_turn" });
  expect(text).toBe("ab");
  expect(received.map(({ event }) => brief(event))).toEqual([
    "user_message_chunk",
    "agent_thought_chunk",
    "a",
    "tool_call",
    "tool_call_update",
    "tool_call_update",
    "b",
  ]);
  expect(received.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...received.keys()]);
  expect(await vm.getSequencedEvents(record.sessionId)).toEqual(
    received.map(({ sequenceNumber, event }) => ({ sequenceNumber, notification: event })),
  );
  await conn.destroySession(record.sessionId);
  expect(await vm.listPersistedSessions()).toEqual([]);
});

test("while a prompt runs, other calls work on the same connection", { tags: ["slow"] }, async () => {
  const { vm } = startSession();
  const conn = vm.connect();
  const id = await open(conn);
  const turn = conn.sendPrompt(id, "await /tmp/go; settings");
  await conn.setModel(id, "large");
  expect((await conn.getSession(id)).status).toBe("running");
  await conn.writeFile("/tmp/go", "");
  expect((await turn).text).toBe("ask large low");
  const cancelled = conn.sendPrompt(id, "until-cancel");
  await until(async () => (await conn.getSession(id)).status === "running");
  await conn.cancelPrompt(id);
  expect((await cancelled).response.result).toEqual({ stopReason: "cancelled" });
});

test("two clients receive the same events of a session, and either may answer its permission request", {
  tags: ["slow"],
}, async () => {
  const { vm, another } = startSession();
  const [one, two] = [vm.connect(), another().connect()];
  const [first, second] = [listen(one), listen(two)];
  const asked = new Promise<string>((resolve) => {
    two.on("permissionRequest", ({ request }) => resolve(request.permissionId));
  });
  await two.exists("/tmp");
  const id = await open(one);
  const turn = one.sendPrompt(id, "permission bash allow_once,reject_once");
  await two.respondPermission(id, await asked, "once");
  expect((await turn).text).toBe("bash: allow_once");
  await until(() => second.length === first.length);
  expect(second).toEqual(first);
});

test("a permission request without a listener is rejected at once, and the transcript has the reason", async () => {
  const { vm } = startSession();
  const id = await open(vm);
  // This client is connected, but does not listen for permission requests.
  const conn = vm.connect();
  conn.on("processOutput", () => undefined);
  expect(await ask(vm, id, "permission bash allow_once,reject_once")).toBe("bash: reject_once");
  expect(await ask(conn, id, "permission bash allow_once,allow_always")).toBe("bash: cancelled");
  expect(JSON.stringify(await vm.getSessionEvents(id))).toContain("nobody_listens");
});

test("a client can answer a permission request after its only listener has left", {
  tags: ["slow"],
}, async () => {
  const { vm, another } = startSession();
  const id = await open(vm);
  const conn = another().connect();
  const asked = new Promise<string>((resolve) => {
    conn.on("permissionRequest", ({ request }) => resolve(request.permissionId));
  });
  await conn.exists("/tmp");
  const turn = vm.sendPrompt(id, "permission bash allow_once,reject_once");
  const permissionId = await asked;
  await conn.dispose();
  // A later client finds the request in the session.
  const pending = (await vm.getSession(id)).pendingPermissions;
  expect(pending.map((request) => request.permissionId)).toEqual([permissionId]);
  await vm.respondPermission(id, permissionId, "once");
  expect((await turn).text).toBe("bash: allow_once");
});

test("a crash reaches the client as an error with the stderr, and as an event", async () => {
  const { vm } = startSession();
  const conn = vm.connect();
  const crashes: AgentCrashedEvent[] = [];
  conn.on("agentCrashed", (event) => void crashes.push(event));
  const id = await open(conn, "load");
  const error = await failure(conn.sendPrompt(id, "crash 5"));
  expect(error).toMatchObject({
    name: "AgentVmError",
    code: "agent_crashed",
    message: "Agent scripted ended (exit code 5): scripted crash",
    metadata: { exitCode: 5, stderr: "scripted crash\n" },
  });
  await until(() => crashes.length === 1);
  expect(crashes).toEqual([
    { sessionId: id, exitCode: 5, signal: null, stderr: "scripted crash\n", restart: true },
  ]);
  expect(await ask(conn, id, "origin")).toBe("load");
});

test("a failed start reaches the client as an error with the stderr", { tags: ["slow"] }, async () => {
  const { vm } = startSession();
  expect(await failure(open(vm, "crash-new=4"))).toMatchObject({
    code: "agent_failed",
    metadata: { exitCode: 4, stderr: "scripted crash at new\n" },
  });
  expect(await failure(vm.createSession("nobody"))).toMatchObject({ code: "unknown_agent_type" });
  expect(await failure(vm.sendPrompt("nope", "x"))).toMatchObject({
    code: "session_not_found",
    message: "Session not found: nope",
  });
});

test("passes a prompt of 8 MiB and a reply line of 16 MiB", { tags: ["slow"] }, async () => {
  const { vm } = startSession();
  const conn = vm.connect();
  const received = listen(conn);
  const id = await open(conn);
  const long = `${"p".repeat(8 * 1024 * 1024 - 20)}\nsay got it`;
  expect(await ask(conn, id, long)).toBe("got it");
  await ask(conn, id, `big ${16 * 1024 * 1024}`);
  await until(() => received.length === 4);
  expect(brief(received[3]!.event).length).toBeGreaterThan(16 * 1024 * 1024 - 1000);
  expect(brief((await conn.getSequencedEvents(id, { since: 2 }))[0]!.notification)).toBe(
    brief(received[3]!.event),
  );
});

test("a flood of 10,000 chunks reaches a client in order", { tags: ["slow"] }, async () => {
  const { server, vm } = startSession();
  const conn = vm.connect();
  const received = listen(conn);
  const id = await open(conn);
  await ask(conn, id, "say warm");
  const before = server.residentMib();
  for (let round = 1; round <= 3; round++) {
    await ask(conn, id, "flood 10000");
    await until(() => received.length === 2 + round * 10_001);
  }
  expect(received.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...received.keys()]);
  const kept: string[] = [];
  for (let since = -1; ; ) {
    const page = await conn.getSequencedEvents(id, { since, limit: 5_000 });
    if (page.length === 0) break;
    kept.push(...page.map(({ notification }) => brief(notification)));
    since = page.at(-1)!.sequenceNumber;
  }
  expect(kept).toEqual(received.map(({ event }) => brief(event)));
  expect(server.residentMib() - before).toBeLessThan(400);
});
