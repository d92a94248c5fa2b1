// @module-tag any-user
import { expect, test } from "vitest";
import { ask, behaving, open, SCRIPTED, scriptedVm } from "../../support/scripted.ts";
import { failure } from "../../support/until.ts";

test("createSession returns the agent's name and capabilities, and the session is listed", async () => {
  const { vm } = scriptedVm();
  expect(await vm.listSessions()).toEqual([]);
  const record = await vm.createSession("scripted", behaving("load http"));
  expect(record).toEqual({
    sessionId: expect.stringMatching(/^[\w-]+$/),
    agentType: "scripted",
    capabilities: {
      loadSession: true,
      promptCapabilities: { image: false, audio: false, embeddedContext: true },
      mcpCapabilities: { http: true, sse: false },
      sessionCapabilities: {},
    },
    agentInfo: { name: "scripted-agent", title: "Scripted", version: "1.2.3" },
  });
  expect(await vm.listSessions()).toEqual([record]);
  const pid = Number(await ask(vm, record.sessionId, "pid"));
  expect(await vm.getSession(record.sessionId)).toEqual({
    ...record,
    createdAt: expect.any(Number),
    closed: false,
    status: "idle",
    cwd: "/workspace",
    permissionPolicy: "ask",
    queuedPrompts: 0,
    pendingPermissions: [],
    lastSequenceNumber: (await vm.getSessionEvents(record.sessionId)).at(-1)?.seq,
    pid,
  });
});

test("the server first sends initialize with protocol version, client name and capabilities", {
  tags: ["slow"],
}, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  expect(JSON.parse(await ask(vm, id, "seen"))).toEqual(["initialize", "session/new", "session/prompt"]);
  expect(JSON.parse(await ask(vm, id, "params initialize"))).toMatchObject({
    protocolVersion: 1,
    clientInfo: { name: "agent-vm" },
    clientCapabilities: { fs: { readTextFile: true, writeTextFile: true }, terminal: true },
  });
});

test("an agent works in /workspace, or in the session's cwd", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  expect(await ask(vm, await open(vm), "cwd")).toBe("/workspace /workspace");
  await vm.mkdir("/home/agentos/project");
  const id = await open(vm, "", { cwd: "/home/agentos/project" });
  expect(await ask(vm, id, "cwd")).toBe("/home/agentos/project /home/agentos/project");
  const error = await failure(open(vm, "", { cwd: "/nowhere" }));
  expect(error).toMatchObject({ code: "ENOENT" });
  expect(error.message).toContain("/nowhere");
  expect(await vm.listSessions()).toHaveLength(2);
});

test("variables of the session override the VM's, which override the agent's", async () => {
  const { vm } = scriptedVm({
    env: { TWO: "vm", THREE: "vm" },
    agents: { scripted: { ...SCRIPTED, env: { ONE: "agent", TWO: "agent", THREE: "agent" } } },
  });
  const id = await open(vm, "", { env: { THREE: "session" } });
  const script = ["ONE", "TWO", "THREE", "HOME", "USER"].map((name) => `env ${name}; say +`).join("; ");
  expect(await ask(vm, id, script)).toBe("agent+vm+session+/home/agentos+agentos+");
});

test("an agent runs as the VM's user, and ps shows it", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const pid = await ask(vm, id, "pid");
  const { stdout } = await vm.exec(`ps -o user=,args= -p ${pid}`);
  expect(stdout.trim()).toMatch(/^agentos\s+node \/opt\/scripted\/agent\/agent\.ts$/);
});

test("createSession refuses an unknown agent and lists the known ones", async () => {
  const { vm } = scriptedVm();
  const error = await failure(vm.createSession("nobody"));
  expect(error).toMatchObject({ code: "unknown_agent_type" });
  expect(error.message).toMatch(/^Unknown agent type: nobody\b.*\bclaude\b.*\bscripted\b/s);
  expect(await vm.listSessions()).toEqual([]);
  for (const name of ["__proto__", "constructor", "toString"]) {
    expect(await failure(vm.createSession(name))).toMatchObject({ code: "unknown_agent_type" });
  }
});

test("listAgents includes custom agents", async () => {
  const { vm } = scriptedVm();
  const agents = await vm.listAgents();
  expect(agents.map(({ id }) => id)).toEqual(
    expect.arrayContaining(["claude", "codex", "gemini", "opencode", "pi", "qwen", "scripted"]),
  );
  expect(agents.find(({ id }) => id === "scripted")).toMatchObject({ installed: true, version: null });
});

test("every call with an unknown session fails with session_not_found", async () => {
  const { vm } = scriptedVm();
  const calls = [
    vm.sendPrompt("nope", "x"),
    vm.prompt("nope", "x"),
    vm.cancelPrompt("nope"),
    vm.cancelSession("nope"),
    vm.closeSession("nope"),
    vm.destroySession("nope"),
    vm.respondPermission("nope", "p", "once"),
    vm.setMode("nope", "m"),
    vm.setModel("nope", "m"),
    vm.setThoughtLevel("nope", "m"),
    vm.getModes("nope"),
    vm.getConfigOptions("nope"),
    vm.getSequencedEvents("nope"),
    vm.getSessionEvents("nope"),
    vm.getSession("nope"),
    vm.resumeSession("nope"),
  ];
  for (const call of calls) {
    expect(await failure(call)).toMatchObject({
      code: "session_not_found",
      message: "Session not found: nope",
    });
  }
});
