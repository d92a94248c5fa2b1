// @module-tag attack
import { expect, test } from "vitest";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { rawVm } from "../../../support/raw-agent.ts";
import { testRows } from "../../../support/rows.ts";
import { brief, sessionEvents } from "../../../support/scripted.ts";
import { failure } from "../../../support/until.ts";

const levels = (count: number) => `"[".repeat(${count}) + "]".repeat(${count})`;

const nested = (head: string) => `'${head}' + ${levels(100_000)} + "}\\n"`;

/** A message with `count` values. The outer brackets and the comma count as three. */
const numbers = (count: number) => `'{"method":"x","params":[' + "0,".repeat(${count - 3}) + "0]}\\n"`;

const DEEP = "it wrote a message of more than 256 levels";
const fatal: [name: string, line: string, fault: string][] = [
  ["a notification of 100,000 levels", nested('{"jsonrpc":"2.0","method":"x","params":'), DEEP],
  [
    "a request of 100,000 levels",
    nested('{"jsonrpc":"2.0","id":1,"method":"session/request_permission","params":'),
    DEEP,
  ],
  ["an answer of 100,000 levels", nested('{"jsonrpc":"2.0","id":2,"result":'), DEEP],
  ["a message of millions of values", numbers(8_000_000), "it wrote a message of more than 100000 values"],
];

testRows(fatal, 1)("kills an agent that writes %s", async (_, line, fault) => {
  const { vm } = rawVm();
  const { sessionId } = await vm.createSession("raw");
  const error = await failure(vm.sendPrompt(sessionId, `write(${line}); await new Promise(() => {});`));
  expect(error).toMatchObject({ code: "agent_crashed" });
  expect(error.message).toBe(`Agent raw ended (${fault})`);
  expect((await vm.sendPrompt(sessionId, "return 'again'")).text).toBe("again");
});

test("a message of exactly 256 levels passes unchanged", { tags: ["slow"] }, async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  await machine.vm.sendPrompt(sessionId, `write('{"method":"x","params":' + ${levels(255)} + "}\\n")`);
  const event = sessionEvents(machine, sessionId).find(({ event }) => (event.method as string) === "x");
  expect(JSON.stringify(event?.event.params)).toBe(`${"[".repeat(255)}${"]".repeat(255)}`);
});

test("a message of exactly 100,000 values passes", { tags: ["slow"] }, async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  await machine.vm.sendPrompt(sessionId, `write(${numbers(100_000)})`);
  const event = sessionEvents(machine, sessionId).find(({ event }) => (event.method as string) === "x");
  expect(event?.event.params).toHaveLength(99_998);
});

test("brackets in strings and in other lines do not count", { tags: ["slow"] }, async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  const code = `write("[,".repeat(200000) + "\\n"); return ${JSON.stringify('{[,"\\')}.repeat(60000);`;
  expect((await machine.vm.sendPrompt(sessionId, code)).text).toBe('{[,"\\'.repeat(60_000));
});

test("an agent cannot send notifications that are reserved for the server", async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  await machine.vm.sendPrompt(
    sessionId,
    `send({ method: "_agentvm/permission_resolved", params: { permissionId: "p", outcome: {} } });
     send({ method: "session/request_permission", params: { sessionId, permissionId: "p" } });
     send({ method: "_mine/anything", params: {} });`,
  );
  expect(sessionEvents(machine, sessionId).map(({ event }) => brief(event))).toEqual([
    "user_message_chunk",
    "_mine/anything",
    "undefined",
  ]);
});

test("createSession fails if the agent reports too much about itself", async () => {
  const { vm } = rawVm(
    `answers.initialize = () => ({ protocolVersion: 1, agentInfo: { name: "x".repeat(20000) } });`,
    { store: new MemoryStore() },
  );
  const error = await failure(vm.createSession("raw"));
  expect(error).toMatchObject({ code: "agent_failed" });
  expect(error.message).toBe("Agent raw reported more than 16384 bytes of name and capabilities");
});

test("settings above the limit are ignored, and the former settings stay", async () => {
  const { vm } = rawVm();
  const { sessionId } = await vm.createSession("raw");
  const report = (count: number) =>
    `update({ sessionUpdate: "config_option_update", configOptions:
       Array.from({ length: ${count} }, (_, index) => ({ id: "option-" + index, name: "n".repeat(100), options: [] })) })`;
  await vm.sendPrompt(sessionId, report(2));
  await vm.sendPrompt(sessionId, report(15_000));
  expect(await vm.getConfigOptions(sessionId)).toEqual([
    { id: "option-0", label: "n".repeat(100), allowedValues: [] },
    { id: "option-1", label: "n".repeat(100), allowedValues: [] },
  ]);
});

test("an error has the first 300 characters of the agent's refusal", { tags: ["slow"] }, async () => {
  const { vm } = rawVm(
    `answers["session/new"] = () => new Promise(() => {
       send({ id: 1, error: { code: 1, message: "n".repeat(1000000) } }) });`,
  );
  expect((await failure(vm.createSession("raw"))).message).toBe(
    `Agent raw refused a session: ${"n".repeat(300)}`,
  );
});
