import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store.ts";
import { type Fault, faultyStore } from "../../support/faulty-store.ts";
import { ask, brief, count, open, scriptedVm, sessionEvents } from "../../support/scripted.ts";
import { failure, until } from "../../support/until.ts";

/** A VM whose store fails puts of a session's keys while `fault` says so. */
function brokenVm() {
  const state: { fault: Fault } = { fault: "none" };
  const store = new MemoryStore();
  const faulty = faultyStore(store, (_call, method) => (method === "put" ? state.fault : "none"));
  return { machine: scriptedVm({}, { store: faulty }), state, store };
}

test.each(["error", "lost"] as const)(
  "events that cannot be stored (%s) are heard by nobody; the prompt says so, and the session goes on",
  async (fault) => {
    const { machine, state } = brokenVm();
    const { vm } = machine;
    const id = await open(vm, "load");
    expect(await ask(vm, id, "say one")).toBe("one");
    const turn = vm.sendPrompt(id, "touch /tmp/up; await /tmp/go; say lost; await /never");
    await until(() => vm.exists("/tmp/up"));
    const heard = sessionEvents(machine, id).length;
    state.fault = fault;
    await vm.exec("touch /tmp/go");
    expect(await failure(turn)).toMatchObject({
      code: expect.stringMatching(/^(storage_failed|agent_crashed|vm_stopped)$/),
    });
    expect(sessionEvents(machine, id)).toHaveLength(heard);
    state.fault = "none";
    expect(await ask(vm, id, "say two")).toBe("two");
    const kept = await vm.getSessionEvents(id);
    expect(kept.map(({ seq }) => seq)).toEqual([...kept.keys()]);
    expect(kept.map(({ event }) => brief(event))).not.toContain("lost");
    expect(sessionEvents(machine, id).map(({ event }) => event)).toEqual(kept.map(({ event }) => event));
  },
);

test("a session whose record cannot be stored is not made, and its agent is gone", async () => {
  const { machine, state, store } = brokenVm();
  const { vm } = machine;
  await vm.exec("true");
  state.fault = "error";
  expect(await failure(open(vm))).toBeInstanceOf(Error);
  state.fault = "none";
  expect(await vm.listPersistedSessions()).toEqual([]);
  expect(await store.list("session/")).toEqual([]);
  expect(await count(vm)).toBe(0);
});
