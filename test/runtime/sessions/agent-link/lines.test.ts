import { expect, test } from "vitest";
import { ask, brief, open, scriptedVm, sessionEvents } from "../../../support/scripted.ts";
import { failure } from "../../../support/until.ts";

const LINE_BYTES = 16 * 1024 * 1024;

test("skips lines on stdout that are not messages, before and between messages", async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm, "banner");
  const strays = [
    "not json",
    '{"half":',
    "[]",
    "null",
    '"text"',
    "42",
    '{"id":true}',
    '{"method":5}',
    "\\u0000",
  ];
  const script = strays.map((stray, index) => `line ${stray}; say ${index}`).join("; ");
  expect(await ask(machine.vm, id, script)).toBe("012345678");
  // The server has not answered the skipped lines.
  expect(JSON.parse(await ask(machine.vm, id, "seen"))).toEqual([
    "initialize",
    "session/new",
    "session/prompt",
    "session/prompt",
  ]);
  const events = sessionEvents(machine, id).map(({ event }) => brief(event));
  expect(events.filter((text) => /^\d$/.test(text)).join("")).toBe("012345678");
});

test("skips answers to unknown requests", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const answers = ['{"jsonrpc":"2.0","id":99999,"result":{}}', '{"jsonrpc":"2.0","id":"x","error":{}}', "{}"];
  expect(await ask(vm, id, `${answers.map((line) => `line ${line}`).join("; ")}; say on`)).toBe("on");
});

test("joins a line that arrives in pieces, cut within a character", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  expect(await ask(vm, id, "split äöü€😀; say .")).toBe("äöü€😀.");
});

test("accepts a line of 16 MiB", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  // The text of a prompt's result is cut at 8 MiB.
  const { response, text } = await vm.sendPrompt(id, `big ${LINE_BYTES}; say after`);
  expect(response.result).toMatchObject({ stopReason: "end_turn" });
  expect(text.length).toBe(8 * 1024 * 1024);
  expect(text).toMatch(/^x+$/);
  expect(sessionEvents(machine, id).map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2]);
  expect(await ask(vm, id, "say on")).toBe("on");
});

test("an agent that writes a longer line is killed, and the error says why", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const error = await failure(vm.sendPrompt(id, `say before; big ${LINE_BYTES + 1}; deaf never`));
  expect(error).toMatchObject({ code: "agent_crashed" });
  expect(error.message).toContain(`a line of more than ${LINE_BYTES} bytes`);
  expect(await machine.event("agentCrashed")).toMatchObject({
    sessionId: id,
    signal: "SIGKILL",
    restart: true,
  });
  expect(await ask(vm, id, "say again")).toBe("again");
});
