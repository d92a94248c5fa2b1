import { expect, test, vi } from "vitest";
import { ask, brief, open, scriptedVm, sessionEvents } from "../../support/scripted.ts";
import { failure, until } from "../../support/until.ts";

vi.mock("../../../src/runtime/sessions/limits.ts", async (original) => ({
  ...(await original<typeof import("../../../src/runtime/sessions/limits.ts")>()),
  MAX_QUEUED_PROMPTS: 5,
}));

test("prompts of one session run one at a time, in the order of their calls", async () => {
  const machine = scriptedVm();
  const { vm } = machine;
  const id = await open(vm);
  const first = vm.sendPrompt(id, "await /tmp/go; say one");
  const others = ["two", "three", "four"].map((word) => vm.prompt(id, `say ${word}`));
  await until(async () => (await vm.getSession(id)).queuedPrompts === 3);
  expect((await vm.getSession(id)).status).toBe("running");
  await vm.writeFile("/tmp/go", "");
  const texts = (await Promise.all([first, ...others])).map(({ text }) => text);
  expect(texts).toEqual(["one", "two", "three", "four"]);
  expect(await ask(vm, id, "overlaps")).toBe("0");
  expect(sessionEvents(machine, id).map(({ event }) => brief(event))).toEqual([
    ...["one", "two", "three", "four"].flatMap((word) => ["user_message_chunk", word]),
    "user_message_chunk",
    "0",
  ]);
  expect((await vm.getSession(id)).status).toBe("idle");
});

test("refuses a prompt above the queue's limit, and runs the queued ones", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const first = vm.sendPrompt(id, "await /tmp/go; say 0");
  const waiting = [1, 2, 3, 4, 5].map((number) => vm.sendPrompt(id, `say ${number}`));
  await until(async () => (await vm.getSession(id)).queuedPrompts === 5);
  expect(await failure(vm.sendPrompt(id, "say 6"))).toMatchObject({ code: "limit_exceeded" });
  await vm.writeFile("/tmp/go", "");
  expect((await Promise.all([first, ...waiting])).map(({ text }) => text).join("")).toBe("012345");
});

test("prompts of two sessions run at the same time", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const [one, two] = await Promise.all([open(vm), open(vm)]);
  const first = vm.sendPrompt(one, "touch /tmp/a; await /tmp/b; say 1");
  const second = vm.sendPrompt(two, "touch /tmp/b; await /tmp/a; say 2");
  expect((await Promise.all([first, second])).map(({ text }) => text)).toEqual(["1", "2"]);
});

test("a queued prompt runs after a failed one", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const failed = vm.sendPrompt(id, "await /tmp/go; error -32603 no");
  const next = vm.sendPrompt(id, "say yes");
  await vm.writeFile("/tmp/go", "");
  expect((await failed).response.error).toMatchObject({ code: -32603 });
  expect((await next).text).toBe("yes");
});
