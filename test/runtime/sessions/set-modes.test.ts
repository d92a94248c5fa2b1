import { expect, test } from "vitest";
import type { Vm } from "../../../src/runtime/vm.ts";
import { testRows } from "../../support/rows.ts";
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

/** Sets mode and model, and expects a result for each. */
async function setAll(vm: Vm, id: string) {
  for (const response of [await vm.setMode(id, "code"), await vm.setModel(id, "large")]) {
    expect(response).toMatchObject({ jsonrpc: "2.0", result: expect.anything() });
    expect(response.error).toBeUndefined();
  }
}

testRows([[""], ["groups"]], 1)("the API returns the agent's options and modes (%s)", async (words) => {
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

testRows([[""], ["groups"], ["silent"]], 1)(
  "sets mode, model and thought level by options (%s)",
  async (words) => {
    const machine = scriptedVm();
    const { vm } = machine;
    const id = await open(vm, words);
    await setAll(vm, id);
    expect((await vm.setThoughtLevel(id, "high")).error).toBeUndefined();
    expect(await ask(vm, id, "settings")).toBe("code large high");
    const values = (await vm.getConfigOptions(id)).map(({ currentValue }) => currentValue);
    expect(values).toEqual(["code", "large", "high"]);
    expect((await vm.getModes(id))?.currentModeId).toBe("code");
    // Each change has one update, from the agent or from the server.
    const updates = sessionEvents(machine, id)
      .map(({ event }) => updateOf(event))
      .filter(({ sessionUpdate }) => sessionUpdate === "config_option_update");
    expect(updates).toHaveLength(3);
    const current = updates.map(({ configOptions }) =>
      (configOptions as { currentValue: string }[]).map(({ currentValue }) => currentValue).join(" "),
    );
    expect(current).toEqual(["code small low", "code large low", "code large high"]);
  },
);

testRows([["legacy"], ["legacy silent"]], 1)("sets mode and model in the old form (%s)", async (words) => {
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
  const updates = sessionEvents(machine, id)
    .map(({ event }) => updateOf(event))
    .filter(({ sessionUpdate }) => sessionUpdate === "current_mode_update");
  expect(updates).toEqual([{ sessionUpdate: "current_mode_update", currentModeId: "code" }]);
  expect(await vm.setThoughtLevel(id, "high")).toMatchObject({ error: { code: -32601 } });
});

test("an agent without settings has no modes and no options, and refuses to set them", {
  tags: ["slow"],
}, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "bare");
  expect(await vm.getModes(id)).toBeNull();
  expect(await vm.getConfigOptions(id)).toEqual([]);
  expect(await vm.setModel(id, "large")).toMatchObject({ error: { code: -32601 } });
  expect(await vm.setThoughtLevel(id, "high")).toMatchObject({ error: { code: -32601 } });
});

testRows([["refuse"], ["legacy refuse"]], 1)(
  "if the agent refuses (%s), the response has its error, and no setting changes",
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

testRows([[""], ["legacy"]], 0)("an unknown mode and an unknown model change nothing (%s)", async (words) => {
  const { vm } = scriptedVm();
  const id = await open(vm, words);
  expect(await vm.setMode(id, "nope")).toMatchObject({ error: { code: -32602 } });
  expect(await vm.setModel(id, "nope")).toMatchObject({ error: { code: -32602 } });
  expect(await ask(vm, id, "settings")).toBe("ask small low");
});

test("getModes returns a mode that the agent has changed itself", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm, "legacy");
  await ask(vm, id, "mode code");
  expect((await vm.getModes(id))?.currentModeId).toBe("code");
});

test("settings can be changed while a prompt runs", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const turn = vm.sendPrompt(id, "await /tmp/go; settings");
  await setAll(vm, id);
  await vm.writeFile("/tmp/go", "");
  expect((await turn).text).toBe("code large low");
});
