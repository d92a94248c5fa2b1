// @module-tag slow
import { expect, test } from "vitest";
import { SESSION_RECORDS } from "../../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { type Fault, faultyStore } from "../../../support/faulty-store.ts";
import { ask, brief, count, open, scriptedVm, sessionEvents } from "../../../support/scripted.ts";
import { failure, until } from "../../../support/until.ts";

/** A VM whose store fails each put as `fault` says. */
function brokenVm() {
  const state: { fault: Fault } = { fault: "none" };
  const store = new MemoryStore();
  const faulty = faultyStore(store, (_call, method) => (method === "put" ? state.fault : "none"));
  return { machine: scriptedVm({}, { store: faulty }), state, store };
}

test.each(["error", "lost"] as const)(
  "events that cannot be stored (%s) are not sent; the prompt fails, and the session continues",
  async (fault) => {
    const { machine, state } = brokenVm();
    const { vm } = machine;
    const id = await open(vm, "load");
    expect(await ask(vm, id, "say one")).toBe("one");
    const turn = vm.sendPrompt(id, "touch /tmp/up; await /tmp/go; say lost; await /never");
    await until(() => vm.exists("/tmp/up"));
    // The agent may get the prompt before the prompt's event is stored.
    await until(() => sessionEvents(machine, id).length === 3);
    const sent = sessionEvents(machine, id).length;
    state.fault = fault;
    await vm.exec("touch /tmp/go");
    expect(await failure(turn)).toMatchObject({
      code: expect.stringMatching(/^(storage_failed|agent_crashed|vm_stopped)$/),
    });
    expect(sessionEvents(machine, id)).toHaveLength(sent);
    state.fault = "none";
    expect(await ask(vm, id, "say two")).toBe("two");
    const kept = await vm.getSessionEvents(id);
    expect(kept.map(({ seq }) => seq)).toEqual([...kept.keys()]);
    expect(kept.map(({ event }) => brief(event))).not.toContain("lost");
    expect(sessionEvents(machine, id).map(({ event }) => event)).toEqual(kept.map(({ event }) => event));
  },
);

test("createSession fails and ends the agent if the record cannot be stored", async () => {
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

test("setMode and setModel fail if the session's record cannot be stored", async () => {
  const store = new MemoryStore();
  let isBroken = false;
  const machine = scriptedVm(
    {},
    {
      store: {
        get: (keys) => store.get(keys),
        put: (entries) =>
          isBroken && entries.some(([key]) => key.startsWith(SESSION_RECORDS))
            ? Promise.reject(new Error("put failed"))
            : store.put(entries),
        delete: (keys) => store.delete(keys),
        deleteRange: (from, to) => store.deleteRange(from, to),
        list: (prefix, options) => store.list(prefix, options),
      },
    },
  );
  const { vm } = machine;
  const id = await open(vm);
  isBroken = true;
  expect(await failure(vm.setMode(id, "code"))).toMatchObject({ code: "storage_failed" });
  expect(await failure(vm.setModel(id, "large"))).toMatchObject({ code: "storage_failed" });
  isBroken = false;
  expect(await vm.setMode(id, "ask")).toMatchObject({ result: expect.anything() });
});
