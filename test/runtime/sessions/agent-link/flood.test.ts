// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import { heldBytes } from "../../../support/heap.ts";
import { brief, open, scriptedVm, sessionEvents } from "../../../support/scripted.ts";

test("30,000 chunks without pause arrive in order, live and stored", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const { text } = await vm.sendPrompt(id, "flood 30000");
  const expected = Array.from({ length: 30_000 }, (_, index) => `${index} `);
  expect(text).toBe(expected.join(""));
  const live = sessionEvents(machine, id);
  expect(live.slice(1).map(({ event }) => brief(event))).toEqual(expected);
  expect(live.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...live.keys()]);
  const kept = await vm.getSequencedEvents(id);
  expect(kept.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...live.keys()]);
  expect(kept.slice(1).map(({ notification }) => brief(notification))).toEqual(expected);
});

test("a slow store pauses the agent, and the server's memory does not grow", async () => {
  const { MemoryStore } = await import("../../../../src/runtime/store/store.ts");
  const store = new MemoryStore();
  const put = store.put.bind(store);
  let busy = false;
  store.put = async (entries) => {
    if (busy) await new Promise((resolve) => setTimeout(resolve, 20));
    await put(entries);
  };
  const machine = scriptedVm({}, { store });
  const { vm, events } = machine;
  const id = await open(vm);
  await vm.sendPrompt(id, "flood 100 4000");
  const before = heldBytes();
  busy = true;
  let most = 0;
  const samples = setInterval(() => {
    // Events that the test itself keeps do not count.
    events.length = 0;
    most = Math.max(most, process.memoryUsage().heapUsed + process.memoryUsage().external);
  }, 50);
  const { response } = await vm.sendPrompt(id, "flood 10000 4000");
  clearInterval(samples);
  expect(response.result).toMatchObject({ stopReason: "end_turn" });
  events.length = 0;
  // The store of this test keeps 40 MB, and the turn keeps some of it as text. The server must not keep more.
  const stored = 10_000 * 4_200;
  expect(heldBytes() - before).toBeLessThan(stored * 1.5);
  expect(most).toBeGreaterThan(0);
});

test("one session's flood does not starve another", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const [loud, quiet] = await Promise.all([open(vm), open(vm)]);
  const flood = vm.sendPrompt(loud, "flood 50000");
  await machine.event(
    "sessionEvent",
    ({ sessionId, sequenceNumber }) => sessionId === loud && sequenceNumber > 100,
  );
  for (let turn = 0; turn < 5; turn++) {
    expect((await vm.sendPrompt(quiet, `say ${turn}`)).text).toBe(`${turn}`);
  }
  const done = await Promise.race([flood.then(() => "flood"), Promise.resolve("quiet")]);
  expect(done).toBe("quiet");
  await flood;
});

test("a cancel ends a flood", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const flood = vm.sendPrompt(id, "flood 10000000");
  await machine.event("sessionEvent", ({ sequenceNumber }) => sequenceNumber > 1000);
  await vm.cancelPrompt(id);
  expect((await flood).response.result).toEqual({ stopReason: "cancelled" });
});
