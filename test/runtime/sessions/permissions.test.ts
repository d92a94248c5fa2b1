import { expect, test } from "vitest";
import { testRows } from "../../support/rows.ts";
import { ask, open, scriptedVm, sessionEvents } from "../../support/scripted.ts";
import { failure } from "../../support/until.ts";
import type { TestVm } from "../../support/vm.ts";

const ALL = "allow_once,allow_always,reject_once,reject_always";

/** Lets the agent ask for a permission with these options and answers it. @returns the outcome that the agent got */
async function reply(machine: TestVm, id: string, kinds: string, answer: string): Promise<string> {
  const asked = machine.events.filter(({ name }) => name === "permissionRequest").length;
  const turn = machine.vm.sendPrompt(id, `permission bash ${kinds}`);
  const requests = () => machine.events.filter(({ name }) => name === "permissionRequest");
  await machine.event("permissionRequest", () => requests().length > asked);
  const { request } = requests().at(-1)!.payload as { request: { permissionId: string } };
  expect(await machine.vm.respondPermission(id, request.permissionId, answer)).toMatchObject({
    jsonrpc: "2.0",
    result: expect.anything(),
  });
  return (await turn).text;
}

testRows(
  [
    ["once", ALL, "allow_once"],
    ["reject", ALL, "reject_once"],
    ["once", "allow_once,reject_once", "allow_once"],
    ["always", ALL, "allow_always"],
    ["always", "allow_once,reject_once", "allow_once"],
    ["reject", "allow_once,reject_always", "reject_always"],
    ["reject", "allow_once,allow_always", "cancelled"],
    ["once", "reject_once,reject_always", "cancelled"],
    ["once", "allow_always,reject_once", "cancelled"],
    ["always", "reject_once", "cancelled"],
  ],
  2,
)("the reply %s selects from %s the outcome %s", async (answer, kinds, outcome) => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  expect(await reply(machine, id, kinds, answer)).toBe(`bash: ${outcome}`);
});

test("the reply may be the id of an option", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  expect(await reply(machine, id, ALL, "option-3")).toBe("bash: reject_always");
  expect(await reply(machine, id, "allow_once,vendor_kind", "option-1")).toBe("bash: vendor_kind");
});

test("a request describes the agent's action, and is listed until it is answered", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "permission bash allow_once,reject_once");
  const { sessionId, request } = await machine.event("permissionRequest");
  expect(sessionId).toBe(id);
  expect(request).toEqual({
    permissionId: expect.stringMatching(/^[\w-]+$/),
    description: "bash",
    params: {
      sessionId: id,
      toolCall: { toolCallId: "call-0", title: "bash", kind: "execute", rawInput: { command: "bash" } },
      options: [
        { optionId: "option-0", name: "allow_once", kind: "allow_once" },
        { optionId: "option-1", name: "reject_once", kind: "reject_once" },
      ],
    },
  });
  expect(await vm.getSession(id)).toMatchObject({ pendingPermissions: [request] });
  await vm.respondPermission(id, request.permissionId, "once");
  expect((await turn).text).toBe("bash: allow_once");
  expect(await vm.getSession(id)).toMatchObject({ pendingPermissions: [] });
});

test("an invalid reply is refused, and the request stays pending", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "permission bash allow_once,reject_once");
  const { request } = await machine.event("permissionRequest");
  for (const bad of ["maybe", "ALWAYS", "allow_once", "option-7"]) {
    expect(await failure(vm.respondPermission(id, request.permissionId, bad))).toMatchObject({
      code: "invalid_argument",
      message: `invalid permission reply "${bad}" (expected "once" | "always" | "reject")`,
    });
  }
  await vm.respondPermission(id, request.permissionId, "once");
  expect((await turn).text).toBe("bash: allow_once");
});

test("refuses a second reply and a reply to an unknown request", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "permission bash allow_once,reject_once");
  const { request } = await machine.event("permissionRequest");
  await vm.respondPermission(id, request.permissionId, "reject");
  await turn;
  for (const permissionId of [request.permissionId, "nope", "0"]) {
    expect(await failure(vm.respondPermission(id, permissionId, "once"))).toMatchObject({
      code: "permission_not_found",
    });
  }
});

test("a request is rejected after the timeout, and cannot be answered later", async () => {
  const machine = scriptedVm({ sessions: { permissionTimeoutMs: 200 } });
  const { vm } = machine;
  const id = await open(vm);
  expect(await ask(vm, id, "permission bash allow_once,reject_once")).toBe("bash: reject_once");
  const { request } = await machine.event("permissionRequest");
  expect(await failure(vm.respondPermission(id, request.permissionId, "once"))).toMatchObject({
    code: "permission_not_found",
  });
  expect(await ask(vm, id, "permission bash allow_once")).toBe("bash: cancelled");
  expect(JSON.stringify(await vm.getSessionEvents(id))).toContain('"reason":"timeout"');
});

test("ids stay unique when the agent restarts, and belong to one session", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const [one, two] = await Promise.all([open(vm, "load"), open(vm)]);
  expect(await reply(machine, one, "allow_once", "once")).toBe("bash: allow_once");
  await failure(vm.sendPrompt(one, "crash 1"));
  expect(await reply(machine, one, "allow_once", "once")).toBe("bash: allow_once");
  const turn = vm.sendPrompt(two, "permission rm allow_once");
  const { request } = await machine.event("permissionRequest", ({ sessionId }) => sessionId === two);
  expect(await failure(vm.respondPermission(one, request.permissionId, "once"))).toMatchObject({
    code: "permission_not_found",
  });
  await vm.respondPermission(two, request.permissionId, "once");
  expect((await turn).text).toBe("rm: allow_once");
  const ids = machine.events
    .filter(({ name }) => name === "permissionRequest")
    .map(({ payload }) => (payload as { request: { permissionId: string } }).request.permissionId);
  expect(new Set(ids).size).toBe(3);
});

test("many pending requests can be answered in any order", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "permissions 20 allow_once,reject_once");
  const requests = () =>
    machine.events
      .filter(({ name }) => name === "permissionRequest")
      .map(({ payload }) => (payload as { request: { permissionId: string; description: string } }).request);
  await machine.event("permissionRequest", () => requests().length === 20);
  for (const { permissionId, description } of requests().reverse()) {
    await vm.respondPermission(id, permissionId, Number(description) % 2 === 0 ? "once" : "reject");
  }
  expect((await turn).text).toBe(
    Array.from(
      { length: 20 },
      (_, index) => `${index}: ${index % 2 === 0 ? "allow_once" : "reject_once"}`,
    ).join(", "),
  );
});

testRows(
  [
    ["allow_all", ALL, "allow_once"],
    ["reject_all", ALL, "reject_once"],
    ["allow_all", "allow_always,reject_once", "allow_always"],
    ["reject_all", "allow_once", "cancelled"],
  ] as const,
  2,
)("a session with policy %s does not ask clients (%s)", async (permissionPolicy, kinds, outcome) => {
  const machine = scriptedVm();
  const id = await open(machine.vm, "", { permissionPolicy });
  expect(await ask(machine.vm, id, `permission bash ${kinds}`)).toBe(`bash: ${outcome}`);
  expect(machine.events.filter(({ name }) => name === "permissionRequest")).toEqual([]);
});

test("the transcript has the request and the outcome of a permission", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  await reply(machine, id, "allow_once,reject_once", "reject");
  const [asked, resolved] = sessionEvents(machine, id)
    .map(({ event }) => event)
    .filter(({ method }) => method !== "session/update");
  const { permissionId } = asked!.params as { permissionId: string };
  expect(asked).toMatchObject({
    method: "session/request_permission",
    params: { sessionId: id, permissionId, toolCall: { title: "bash" } },
  });
  expect(resolved).toEqual({
    jsonrpc: "2.0",
    method: "_agentvm/permission_resolved",
    params: {
      sessionId: id,
      permissionId,
      outcome: { outcome: "selected", optionId: "option-1" },
      reason: "replied",
    },
  });
});
