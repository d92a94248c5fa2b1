import { expect, test } from "vitest";
import { brief, open, scriptedVm, sessionEvents, updateOf } from "../../../support/scripted.ts";

test("live and stored updates are equal, in order and numbered", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const { response, text } = await vm.sendPrompt(
    id,
    "think hmm; say Hello; tool ls; plan one,two; say  world; mode code; image; say !",
  );
  expect(response).toEqual({ jsonrpc: "2.0", id: expect.any(Number), result: { stopReason: "end_turn" } });
  expect(text).toBe("Helloworld!");

  const live = sessionEvents(machine, id);
  expect(live.map(({ event }) => brief(event))).toEqual([
    "user_message_chunk",
    "agent_thought_chunk",
    "Hello",
    "tool_call",
    "tool_call_update",
    "tool_call_update",
    "plan",
    "world",
    "current_mode_update",
    "agent_message_chunk",
    "!",
  ]);
  expect(live.map(({ sequenceNumber }) => sequenceNumber)).toEqual([...live.keys()]);
  for (const { event } of live) {
    expect(event).toMatchObject({ jsonrpc: "2.0", method: "session/update", params: { sessionId: id } });
  }
  expect(updateOf(live[3]!.event)).toEqual({
    sessionUpdate: "tool_call",
    toolCallId: "ls",
    title: "Run ls",
    kind: "execute",
    status: "pending",
    rawInput: { command: "ls" },
  });

  const sequenced = await vm.getSequencedEvents(id);
  expect(sequenced).toEqual(
    live.map(({ sequenceNumber, event }) => ({ sequenceNumber, notification: event })),
  );
  const kept = await vm.getSessionEvents(id);
  expect(kept).toEqual(
    live.map(({ sequenceNumber, event }) => ({
      sessionId: id,
      seq: sequenceNumber,
      event,
      createdAt: expect.any(Number),
    })),
  );
  const times = kept.map(({ createdAt }) => createdAt);
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test("the user's prompt is an event of the session", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  await machine.vm.sendPrompt(id, "say 1");
  const [first] = sessionEvents(machine, id);
  expect(first).toMatchObject({ sequenceNumber: 0 });
  expect(updateOf(first!.event)).toEqual({
    sessionUpdate: "user_message_chunk",
    content: { type: "text", text: "say 1" },
  });
});

test("getSequencedEvents returns events after `since`, at most `limit`", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await vm.sendPrompt(id, "say a; say b; say c; say d");
  const numbers = async (options?: { since?: number; limit?: number }) =>
    (await vm.getSequencedEvents(id, options)).map(({ sequenceNumber }) => sequenceNumber);
  expect(await numbers()).toEqual([0, 1, 2, 3, 4]);
  expect(await numbers({ since: -1 })).toEqual([0, 1, 2, 3, 4]);
  expect(await numbers({ since: 0 })).toEqual([1, 2, 3, 4]);
  expect(await numbers({ since: 2 })).toEqual([3, 4]);
  expect(await numbers({ since: 4 })).toEqual([]);
  expect(await numbers({ since: 999 })).toEqual([]);
  expect(await numbers({ since: 0, limit: 2 })).toEqual([1, 2]);
});

test("each session has its own sequence numbers", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const [one, two] = await Promise.all([open(vm), open(vm)]);
  await Promise.all([vm.sendPrompt(one, "say a; say b"), vm.sendPrompt(two, "say c")]);
  expect(sessionEvents(machine, one).map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2]);
  expect(sessionEvents(machine, two).map(({ event }) => brief(event))).toEqual(["user_message_chunk", "c"]);
});

test("unknown updates and unknown fields pass unchanged", async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  const strange = {
    sessionUpdate: "brand_new",
    deep: { er: [1, null, "ü"] },
    _meta: { "vendor/x": true },
  };
  const known = { sessionUpdate: "plan", entries: [{ content: "a", extra: 1 }], more: "kept" };
  await machine.vm.sendPrompt(id, `update ${JSON.stringify(strange)}; update ${JSON.stringify(known)}`);
  const updates = sessionEvents(machine, id).map(({ event }) => updateOf(event));
  expect(updates.slice(1)).toEqual([strange, known]);
});

test("notifications other than session/update pass too", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  const note = '{"jsonrpc":"2.0","method":"_vendor/progress","params":{"percent":50}}';
  expect((await machine.vm.sendPrompt(id, `line ${note}; say done`)).text).toBe("done");
  const events = sessionEvents(machine, id).map(({ event }) => event);
  expect(events.slice(1, 2)).toMatchObject([{ method: "_vendor/progress", params: { percent: 50 } }]);
});

test("text between two turns is an event, but not in the text of a prompt", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  expect((await vm.sendPrompt(id, "say now; later 50 afterthought")).text).toBe("now");
  await machine.event("sessionEvent", ({ event }) => brief(event) === "afterthought");
  expect((await vm.sendPrompt(id, "say next")).text).toBe("next");
  expect(sessionEvents(machine, id).map(({ event }) => brief(event))).toEqual([
    "user_message_chunk",
    "now",
    "afterthought",
    "user_message_chunk",
    "next",
  ]);
});

test("a chunk after the response, in the same write, is an event but not in the text", {
  tags: ["slow"],
}, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  for (let turn = 0; turn < 20; turn++) {
    expect((await vm.sendPrompt(id, `say in${turn}; late out${turn}`)).text).toBe(`in${turn}`);
  }
  await machine.event("sessionEvent", ({ event }) => brief(event) === "out19");
  expect((await vm.sendPrompt(id, "say end")).text).toBe("end");
  const said = sessionEvents(machine, id).map(({ event }) => brief(event));
  expect(said.filter((text) => text !== "user_message_chunk")).toEqual([
    ...Array.from({ length: 20 }, (_, turn) => [`in${turn}`, `out${turn}`]).flat(),
    "end",
  ]);
});

test("any stop reason ends a turn, and the text so far is returned", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  for (const stopReason of ["refusal", "max_tokens", "max_turn_requests"]) {
    const { response, text } = await vm.sendPrompt(id, `say so far; stop ${stopReason}`);
    expect(response.result).toEqual({ stopReason });
    expect(text).toBe("so far");
  }
});

test("an error of the agent is in the response, and the session continues", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  for (const code of [-32603, -32000, 7]) {
    const { response, text } = await vm.sendPrompt(id, `say before; error ${code} out of luck`);
    expect(response).toEqual({
      jsonrpc: "2.0",
      id: expect.any(Number),
      error: { code, message: "out of luck", data: { scripted: true } },
    });
    expect(text).toBe("before");
  }
  expect((await vm.sendPrompt(id, "say fine")).text).toBe("fine");
});

test("a prompt without message chunks has an empty text", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  expect(await vm.sendPrompt(id, "think quiet")).toMatchObject({
    text: "",
    response: { result: { stopReason: "end_turn" } },
  });
});
