import { expect, test } from "vitest";
import type { Vm } from "../../../src/runtime/vm.ts";
import { ask, open, scriptedVm, sessionEvents, updateOf } from "../../support/scripted.ts";

const option = (id: string, category: string, currentValue: string, values: string[]) => ({
  id,
  category,
  label: `The ${category}`,
  description: `Chooses the ${category}`,
  currentValue,
  allowedValues: values.map((value) => ({ id: value, label: value.toUpperCase() })),
});
const OPTIONS = [
  option("agent-mode", "mode", "ask", ["ask", "code"]),
  option("llm", "model", "small", ["small", "large"]),
  option("reasoning_effort", "thought_level", "low", ["low", "high"]),
];

/** Sets all three; each has to be answered with a result. */
async function setAll(vm: Vm, id: string) {
  for (const response of [await vm.setMode(id, "code"), await vm.setModel(id, "large")]) {
    expect(response).toMatchObject({ jsonrpc: "2.0", result: expect.anything() });
    expect(response.error).toBeUndefined();
  }
}

test.each(["", "groups"])("options as the agent offers them (%s) become ours", async (words) => {
  const { vm } = scriptedVm();
  const id = await open(vm, words);
  expect(await vm.getConfigOptions(id)).toEqual(OPTIONS);
  expect(await vm.getModes(id)).toEqual({
    currentModeId: "ask",
    availableModes: [
      { id: "ask", name: "ASK", label: "ASK" },
      { id: "code", name: "CODE", label: "CODE" },
    ],
  });
});

test.each(["", "groups", "silent"])("mode, model and thought level by options (%s)", async (words) => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, words);
  await setAll(vm, id);
  expect((await vm.setThoughtLevel(id, "high")).error).toBeUndefined();
  expect(await ask(vm, id, "settings")).toBe("code large high");
  const values = (await vm.getConfigOptions(id)).map(({ currentValue }) => currentValue);
  expect(values).toEqual(["code", "large", "high"]);
  expect((await vm.getModes(id))?.currentModeId).toBe("code");
  // Each change is told of, once, by the agent or by us.
  const told = sessionEvents(machine, id)
    .map(({ event }) => updateOf(event))
    .filter(({ sessionUpdate }) => sessionUpdate === "config_option_update");
  expect(told).toHaveLength(3);
  const current = told.map(({ configOptions }) =>
    (configOptions as { currentValue: string }[]).map(({ currentValue }) => currentValue).join(" "),
  );
  expect(current).toEqual(["code small low", "code large low", "code large high"]);
});

test.each(["legacy", "legacy silent"])("modes and models in the old form (%s)", async (words) => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, words);
  expect(await vm.getModes(id)).toEqual({
    currentModeId: "ask",
    availableModes: [
      { id: "ask", name: "ASK", label: "ASK" },
      { id: "code", name: "CODE", label: "CODE" },
    ],
  });
  await setAll(vm, id);
  expect(await ask(vm, id, "settings")).toBe("code large low");
  expect((await vm.getModes(id))?.currentModeId).toBe("code");
  const told = sessionEvents(machine, id)
    .map(({ event }) => updateOf(event))
    .filter(({ sessionUpdate }) => sessionUpdate === "current_mode_update");
  expect(told).toEqual([{ sessionUpdate: "current_mode_update", currentModeId: "code" }]);
  expect(await vm.setThoughtLevel(id, "high")).toMatchObject({ error: { code: -32601 } });
});

test("an agent without any of it", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "bare");
  expect(await vm.getModes(id)).toBeNull();
  expect(await vm.getConfigOptions(id)).toEqual([]);
  expect(await vm.setModel(id, "large")).toMatchObject({ error: { code: -32601 } });
  expect(await vm.setThoughtLevel(id, "high")).toMatchObject({ error: { code: -32601 } });
});

test.each(["refuse", "legacy refuse"])(
  "an agent that refuses (%s): its error, and nothing has changed",
  async (words) => {
    const machine = scriptedVm();
    const { vm } = machine;
    const id = await open(vm, words);
    expect(await vm.setMode(id, "code")).toMatchObject({ jsonrpc: "2.0", error: { code: -32602 } });
    expect(await vm.setModel(id, "large")).toMatchObject({ jsonrpc: "2.0", error: { code: -32602 } });
    expect((await vm.getModes(id))?.currentModeId).toBe("ask");
    expect(await ask(vm, id, "settings")).toBe("ask small low");
    expect(sessionEvents(machine, id).map(({ event }) => updateOf(event).sessionUpdate)).toEqual([
      "user_message_chunk",
      "agent_message_chunk",
    ]);
  },
);

test.each(["", "legacy"])("a mode and a model that do not exist (%s)", async (words) => {
  const { vm } = scriptedVm();
  const id = await open(vm, words);
  expect(await vm.setMode(id, "nope")).toMatchObject({ error: { code: -32602 } });
  expect(await vm.setModel(id, "nope")).toMatchObject({ error: { code: -32602 } });
  expect(await ask(vm, id, "settings")).toBe("ask small low");
});

test("a mode that the agent changes itself is the one that getModes tells", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "legacy");
  await ask(vm, id, "mode code");
  expect((await vm.getModes(id))?.currentModeId).toBe("code");
});

test("settings can be changed while a prompt goes on", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "await /tmp/go; settings");
  await setAll(vm, id);
  await vm.writeFile("/tmp/go", "");
  expect((await turn).text).toBe("code large low");
});
