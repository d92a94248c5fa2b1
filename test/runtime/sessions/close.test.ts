import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { marked } from "../../support/marked.ts";
import { testRows } from "../../support/rows.ts";
import { ask, brief, count, open, scriptedVm, withScripted } from "../../support/scripted.ts";
import { failure, until } from "../../support/until.ts";

testRows([["ignore-eof ignore-term"], [""], ["close"], ["ignore-eof"]], 1)(
  "closeSession ends the agent (%s) and all its processes, and keeps the transcript",
  async (words) => {
    const machine = scriptedVm();
    const { vm } = machine;
    const id = await open(vm, words);
    expect(await ask(vm, id, "daemon 987030; child 987031; say up")).toBe("up");
    await until(async () => (await count(vm, "sleep")) === 2);
    await vm.closeSession(id);
    expect([await count(vm), await count(vm, "sleep")]).toEqual([0, 0]);
    expect(await vm.listSessions()).toEqual([]);
    expect(await vm.listPersistedSessions()).toMatchObject([{ sessionId: id, closed: true }]);
    expect((await vm.getSessionEvents(id)).map(({ event }) => brief(event))).toEqual([
      "user_message_chunk",
      "up",
    ]);
    expect(await failure(vm.sendPrompt(id, "say x"))).toMatchObject({
      code: "session_not_found",
      message: `Session not found: ${id}`,
    });
    expect(machine.events.filter(({ name }) => name === "agentCrashed")).toEqual([]);
  },
);

test("an agent with session/close gets the request before it ends", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "close load");
  await vm.closeSession(id);
  const { stdout } = await vm.exec("cat ~/closed; ls ~/.scripted-agent");
  expect(stdout.replace(".json", "")).toMatch(/^([\w-]+)\1\n$/);
});

test("a session can be closed twice, and by two callers at once", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await Promise.all([vm.closeSession(id), vm.closeSession(id)]);
  await vm.closeSession(id);
  expect(await vm.listSessions()).toEqual([]);
});

test("resumeSession opens a closed session again, with its context", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "load");
  await ask(vm, id, "say one");
  await vm.closeSession(id);
  expect(await vm.resumeSession(id)).toMatchObject({ sessionId: id });
  expect(await vm.listSessions()).toMatchObject([{ sessionId: id }]);
  expect(JSON.parse(await ask(vm, id, "context"))).toEqual(["say one"]);
});

test("closeSession ends a running prompt", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const running = vm.sendPrompt(id, "deaf busy").catch((error: unknown) => error);
  const waiting = vm.sendPrompt(id, "say never").catch((error: unknown) => error);
  await machine.event("sessionEvent", ({ event }) => brief(event) === "busy");
  await vm.closeSession(id);
  for (const outcome of await Promise.all([running, waiting])) {
    const ended =
      outcome instanceof Error
        ? (outcome as Error & { code?: string }).code
        : (outcome as { response: { result?: unknown } }).response.result;
    expect([{ stopReason: "cancelled" }, "session_not_found"]).toContainEqual(ended);
  }
  expect(await vm.listSessions()).toEqual([]);
});

/** A session whose restarting agent does not answer. */
async function starting() {
  const { vm } = scriptedVm();
  const id = await open(vm, "load hang-load");
  await failure(vm.sendPrompt(id, "crash 1"));
  const prompted = vm.sendPrompt(id, "say x").catch((error: unknown) => error);
  const resumed = failure(vm.resumeSession(id));
  await until(async () => (await count(vm)) === 1);
  return { vm, id, prompted, resumed };
}

test("closeSession ends an agent that is still starting", async () => {
  const { vm, id, prompted, resumed } = await starting();
  await vm.closeSession(id);
  expect(await resumed).toMatchObject({ code: "session_not_found" });
  expect(await prompted).toMatchObject({ response: { result: { stopReason: "cancelled" } } });
  expect(await count(vm)).toBe(0);
});

test("the end of the VM ends an agent that is still starting", { tags: ["slow"] }, async () => {
  const { vm, prompted, resumed } = await starting();
  await vm.dispose("destroy");
  expect(await resumed).toMatchObject({ code: "vm_stopped" });
  expect(await prompted).toMatchObject({ code: "vm_stopped" });
});

test("destroySession deletes the transcript", async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm());
  const other = await open(machine.vm());
  await ask(machine.vm(), id, "daemon 987032; say x");
  await ask(machine.vm(), other, "say kept");
  await machine.vm().destroySession(id);
  expect(await machine.vm().listSessions()).toMatchObject([{ sessionId: other }]);
  expect(await machine.vm().listPersistedSessions()).toMatchObject([{ sessionId: other }]);
  for (const call of [machine.vm().getSessionEvents(id), machine.vm().getSequencedEvents(id)]) {
    expect(await failure(call)).toMatchObject({ code: "session_not_found" });
  }
  expect(await count(machine.vm(), "sleep")).toBe(0);
  await machine.vm().destroySession(other);
  const keys = (await machine.store.list("")).map(([key]) => key);
  expect(keys.filter((key) => key.includes(id) || key.includes(other))).toEqual([]);
  await machine.crash();
  expect(await machine.vm().listPersistedSessions()).toEqual([]);
});

test("closeSession of a destroyed session does nothing, as in agentOS", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await vm.destroySession(id);
  await vm.closeSession(id);
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect(await failure(vm.prompt(id, "x"))).toMatchObject({ code: "session_not_found" });
});

test("a closed session can be destroyed", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await vm.closeSession(id);
  await vm.destroySession(id);
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect(await failure(vm.destroySession(id))).toMatchObject({ code: "session_not_found" });
});

test("an agent and all its processes end with the VM", async () => {
  const { vm } = scriptedVm();
  const mark = `98${process.pid}1`;
  const id = await open(vm, `ignore-eof ignore-term daemon=${mark}`);
  await ask(vm, id, `daemon ${mark}; child ${mark}`);
  await until(() => marked(mark).length >= 3);
  const turn = failure(vm.sendPrompt(id, "deaf on"));
  await vm.dispose("destroy");
  expect(marked(mark)).toEqual([]);
  expect(await turn).toMatchObject({ code: "vm_stopped" });
});

test("a session survives the sleep of its VM during a turn", { tags: ["slow"] }, async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm(), "ignore-eof ignore-term load");
  const turn = failure(machine.vm().sendPrompt(id, "deaf busy"));
  await machine.test().event("sessionEvent", ({ event }) => brief(event) === "busy");
  await machine.sleep();
  expect(await turn).toMatchObject({ code: "vm_stopped" });
  expect(await machine.vm().listSessions()).toMatchObject([{ sessionId: id }]);
  expect(await ask(machine.vm(), id, "say back")).toBe("back");
});
