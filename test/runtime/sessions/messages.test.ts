import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store.ts";
import { rawVm } from "../../support/raw-agent.ts";
import { brief, sessionEvents } from "../../support/scripted.ts";
import { failure } from "../../support/until.ts";

const levels = (count: number) => `"[".repeat(${count}) + "]".repeat(${count})`;

const nested = (head: string) => `'${head}' + ${levels(100_000)} + "}\\n"`;

/** Its own brackets and comma count for three. */
const numbers = (count: number) => `'{"method":"x","params":[' + "0,".repeat(${count - 3}) + "0]}\\n"`;

const DEEP = "it wrote a message of more than 256 levels";
const fatal: [what: string, line: string, fault: string][] = [
  ["a notification of 100,000 levels", nested('{"jsonrpc":"2.0","method":"x","params":'), DEEP],
  [
    "a request of 100,000 levels",
    nested('{"jsonrpc":"2.0","id":1,"method":"session/request_permission","params":'),
    DEEP,
  ],
  ["an answer of 100,000 levels", nested('{"jsonrpc":"2.0","id":2,"result":'), DEEP],
  ["a message of millions of values", numbers(8_000_000), "it wrote a message of more than 100000 values"],
];

test.each(fatal)("an agent that writes %s is killed, and the server stands", async (_, line, fault) => {
  const { vm } = rawVm();
  const { sessionId } = await vm.createSession("raw");
  const error = await failure(vm.sendPrompt(sessionId, `write(${line}); await new Promise(() => {});`));
  expect(error).toMatchObject({ code: "agent_crashed" });
  expect(error.message).toBe(`Agent raw ended (${fault})`);
  expect((await vm.sendPrompt(sessionId, "return 'again'")).text).toBe("again");
});

test("what is nested as deep as may be passes as it is", async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  await machine.vm.sendPrompt(sessionId, `write('{"method":"x","params":' + ${levels(255)} + "}\\n")`);
  const event = sessionEvents(machine, sessionId).find(({ event: { method } }) => method === "x");
  expect(JSON.stringify(event?.event.params)).toBe(`${"[".repeat(255)}${"]".repeat(255)}`);
});

test("a message of as many values as may be passes", async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  await machine.vm.sendPrompt(sessionId, `write(${numbers(100_000)})`);
  const event = sessionEvents(machine, sessionId).find(({ event: { method } }) => method === "x");
  expect(event?.event.params).toHaveLength(99_998);
});

test("what stands in strings is no value, and what is no message may be of any form", async () => {
  const machine = rawVm();
  const { sessionId } = await machine.vm.createSession("raw");
  const code = `write("[,".repeat(200000) + "\\n"); return ${JSON.stringify('{[,"\\')}.repeat(60000);`;
  expect((await machine.vm.sendPrompt(sessionId, code)).text).toBe('{[,"\\'.repeat(60_000));
});

test("an agent cannot speak in the server's name", async () => {
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

test("what an agent tells of itself has a limit", async () => {
  const { vm } = rawVm(
    `answers.initialize = () => ({ protocolVersion: 1, agentInfo: { name: "x".repeat(70000) } });`,
    { store: new MemoryStore() },
  );
  const error = await failure(vm.createSession("raw"));
  expect(error).toMatchObject({ code: "agent_failed" });
  expect(error.message).toBe("Agent raw tells more than 65536 bytes of itself");
});

test("settings above the limit are passed over, and those before them stay", {
  timeout: 60_000,
}, async () => {
  const { vm } = rawVm();
  const { sessionId } = await vm.createSession("raw");
  const tell = (count: number) =>
    `update({ sessionUpdate: "config_option_update", configOptions:
       Array.from({ length: ${count} }, (_, index) => ({ id: "option-" + index, name: "n".repeat(100), options: [] })) })`;
  await vm.sendPrompt(sessionId, tell(2));
  await vm.sendPrompt(sessionId, tell(15_000));
  expect(await vm.getConfigOptions(sessionId)).toEqual([
    { id: "option-0", label: "n".repeat(100), allowedValues: [] },
    { id: "option-1", label: "n".repeat(100), allowedValues: [] },
  ]);
});

test("of a refusal's words an error has the first", async () => {
  const { vm } = rawVm(
    `answers["session/new"] = () => new Promise(() => {
       send({ id: 1, error: { code: 1, message: "n".repeat(1000000) } }) });`,
  );
  expect((await failure(vm.createSession("raw"))).message).toBe(
    `Agent raw refused a session: ${"n".repeat(300)}`,
  );
});
