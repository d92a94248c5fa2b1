import { expect, test } from "vitest";
import { testRows } from "../../support/rows.ts";
import { ask, brief, count, open, scriptedVm, sessionEvents } from "../../support/scripted.ts";
import { failure, until } from "../../support/until.ts";

test("if the agent exits, the prompt fails with its exit code and stderr, and clients get agentCrashed", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "load");
  const error = await failure(vm.sendPrompt(id, "say before; crash 7"));
  expect(error).toMatchObject({
    code: "agent_crashed",
    metadata: { exitCode: 7, signal: null, stderr: "scripted crash\n" },
  });
  expect(error.message).toBe("Agent scripted ended (exit code 7): scripted crash");
  expect(await machine.event("agentCrashed")).toEqual({
    sessionId: id,
    exitCode: 7,
    signal: null,
    stderr: "scripted crash\n",
    restart: true,
  });
  const said = sessionEvents(machine, id).map(({ event }) => brief(event));
  expect(said).toContain("before");
  expect((await vm.getSession(id)).status).toBe("dormant");
  expect(await ask(vm, id, "origin; say  again")).toBe("loadagain");
});

testRows(
  [
    ["SIGKILL", 137],
    ["SIGSEGV", 139],
  ] as const,
  0,
)("an agent that %s ends starts again with the next prompt", async (signal, exitCode) => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "resume");
  expect(await failure(vm.sendPrompt(id, `signal ${signal}`))).toMatchObject({
    code: "agent_crashed",
    metadata: { exitCode, signal },
  });
  expect(await machine.event("agentCrashed")).toMatchObject({ exitCode, signal, restart: true });
  expect(await ask(vm, id, "origin")).toBe("resume");
});

test("an agent that ends between two prompts is reported, and the next prompt restarts it", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "load");
  const pid = await ask(vm, id, "pid");
  await vm.exec(`kill -9 ${pid}`);
  expect(await machine.event("agentCrashed")).toMatchObject({ sessionId: id, signal: "SIGKILL" });
  expect(await vm.listSessions()).toMatchObject([{ sessionId: id }]);
  expect(await ask(vm, id, "origin")).toBe("load");
});

test("the processes of an agent end when it crashes", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  await failure(vm.sendPrompt(id, "daemon 987020; child 987021; crash 1"));
  await machine.event("agentCrashed");
  await until(async () => (await count(vm, "sleep")) === 0);
});

test("queued prompts run with a new agent after a crash", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "load");
  const crash = failure(vm.sendPrompt(id, "await /tmp/go; crash 1"));
  const next = vm.sendPrompt(id, "origin");
  await vm.writeFile("/tmp/go", "");
  expect(await crash).toMatchObject({ code: "agent_crashed" });
  expect((await next).text).toBe("load");
});

test("after four crashes in a row only resumeSession restarts the agent", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "load");
  const restarts: boolean[] = [];
  for (;;) {
    const count = machine.events.filter(({ name }) => name === "agentCrashed").length;
    expect(await failure(vm.sendPrompt(id, "crash 1"))).toMatchObject({ code: "agent_crashed" });
    const crashes = machine.events.filter((event) => event.name === "agentCrashed");
    expect(crashes.length).toBe(count + 1);
    const { restart } = crashes.at(-1)!.payload as { restart: boolean };
    restarts.push(restart);
    if (!restart) break;
  }
  expect(restarts).toEqual([true, true, true, false]);
  expect(await failure(vm.sendPrompt(id, "say hello"))).toMatchObject({
    code: "agent_crashed",
    message: "Agent scripted has ended 4 times in a row",
    metadata: { hint: expect.stringContaining("resumeSession") },
  });
  expect(await vm.resumeSession(id)).toMatchObject({ sessionId: id });
  expect(await ask(vm, id, "origin")).toBe("load");
});

test("a successful turn resets the count of crashes", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "load");
  for (let round = 0; round < 6; round++) {
    await failure(vm.sendPrompt(id, "crash 1"));
    expect(await ask(vm, id, "say fine")).toBe("fine");
  }
  const crashes = machine.events.filter((event) => event.name === "agentCrashed");
  expect(crashes.map(({ payload }) => (payload as { restart: boolean }).restart)).toEqual(
    Array.from({ length: 6 }, () => true),
  );
});

test("an agent that closes its stdout is killed", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const error = await failure(vm.sendPrompt(id, "say x; close-stdout"));
  expect(error).toMatchObject({ code: "agent_crashed", metadata: { signal: "SIGKILL" } });
  expect(error.message).toBe("Agent scripted ended (it closed its stdout)");
  expect(await ask(vm, id, "say back")).toBe("back");
});

test("a crash does not affect another session", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const [one, two] = await Promise.all([open(vm), open(vm)]);
  const turn = vm.sendPrompt(two, "await /tmp/go; say fine");
  await failure(vm.sendPrompt(one, "crash 1"));
  await vm.writeFile("/tmp/go", "");
  expect((await turn).text).toBe("fine");
});
