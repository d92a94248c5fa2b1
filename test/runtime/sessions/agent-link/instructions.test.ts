import { expect, test } from "vitest";
import { ask, brief, open, scriptedVm, sessionEvents } from "../../../support/scripted.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("the first prompt carries the instructions once, and the transcript does not have them", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm, "", { additionalInstructions: "Always answer in rhyme." });
  const instructions = text(await vm.readFile("/etc/agentos/instructions.md")).trim();
  expect(instructions).not.toBe("");
  const prompt = JSON.parse(await ask(vm, id, "prompt")) as string;
  expect(prompt).toContain(instructions);
  expect(prompt).toContain("Always answer in rhyme.");
  expect(prompt.split("\n").at(-1)).toBe("prompt");
  expect(JSON.parse(await ask(vm, id, "prompt"))).toBe("prompt");
  const users = sessionEvents(machine, id).filter(({ event }) => brief(event) === "user_message_chunk");
  expect(JSON.stringify(users)).not.toContain("rhyme");
});

test("skipOsInstructions omits the VM's instructions and keeps the additional ones", {
  tags: ["slow"],
}, async () => {
  const { vm } = scriptedVm();
  const bare = await open(vm, "", { skipOsInstructions: true });
  expect(JSON.parse(await ask(vm, bare, "prompt"))).toBe("prompt");
  const some = await open(vm, "", { skipOsInstructions: true, additionalInstructions: "Rhyme." });
  const prompt = JSON.parse(await ask(vm, some, "prompt")) as string;
  expect(prompt).toContain("Rhyme.");
  expect(prompt).not.toContain(text(await vm.readFile("/etc/agentos/instructions.md")).trim());
});
