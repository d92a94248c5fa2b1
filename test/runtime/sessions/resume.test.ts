import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { testRows } from "../../support/rows.ts";
import { ask, behaving, brief, count, open, sessionEvents, withScripted } from "../../support/scripted.ts";
import { failure } from "../../support/until.ts";

const WAYS = [
  ["load", "load"],
  ["resume", "resume"],
  ["load resume", expect.stringMatching(/^(load|resume)$/)],
] as const;

for (const end of ["sleep", "crash"] as const) {
  testRows(end === "sleep" ? WAYS : WAYS.toReversed(), 1)(
    `after ${end} a session is listed at once and its next prompt continues it by %s`,
    async (words, origin) => {
      const machine = durableVm(withScripted);
      const record = await machine.vm().createSession("scripted", behaving(words));
      const { sessionId: id } = record;
      expect(await ask(machine.vm(), id, "say one; say two")).toBe("onetwo");
      await machine.vm().checkpoint();
      const before = await machine.vm().getSessionEvents(id);
      await machine[end]();

      expect(await machine.vm().listSessions()).toEqual([record]);
      expect(await machine.vm().getSessionEvents(id)).toEqual(before);
      expect(await machine.vm().getSession(id)).toMatchObject({
        status: "dormant",
        pid: null,
        closed: false,
      });
      expect(await ask(machine.vm(), id, "origin")).toEqual(origin);
      expect(JSON.parse(await ask(machine.vm(), id, "context"))).toEqual(["say one; say two", "origin"]);
      expect(await machine.vm().listSessions()).toEqual([record]);

      // Updates that the agent replays after session/load are not recorded twice. The numbers continue.
      const events = await machine.vm().getSessionEvents(id);
      expect(events.slice(0, before.length)).toEqual(before);
      expect(events.map(({ seq }) => seq)).toEqual([...events.keys()]);
      expect(
        events
          .slice(before.length)
          .map(({ event }) => brief(event))
          .slice(0, 2),
      ).toEqual(["user_message_chunk", typeof origin === "string" ? origin : expect.any(String)]);
      const live = sessionEvents(machine.test(), id);
      expect(live.map(({ sequenceNumber }) => sequenceNumber)).toEqual(
        events.slice(before.length).map(({ seq }) => seq),
      );
    },
  );

  test(`after ${end} an agent that can neither load nor resume gets the transcript once`, {
    tags: end === "sleep" ? [] : ["slow"],
  }, async () => {
    const machine = durableVm(withScripted);
    const id = await open(machine.vm());
    expect(await ask(machine.vm(), id, "think secretly; say the answer is 42")).toBe("the answer is 42");
    await machine[end]();
    const prompt = JSON.parse(await ask(machine.vm(), id, "prompt")) as string;
    expect(prompt).toContain("think secretly; say the answer is 42");
    expect(prompt.match(/the answer is 42/g)).toHaveLength(2);
    expect(prompt.split("\n").at(-1)).toBe("prompt");
    expect(JSON.parse(await ask(machine.vm(), id, "prompt"))).toBe("prompt");
    // The preamble is not part of the transcript.
    const said = (await machine.vm().getSessionEvents(id))
      .map(
        ({ event }) =>
          (event.params as { update: { sessionUpdate: string; content?: { text?: string } } }).update,
      )
      .filter(({ sessionUpdate }) => sessionUpdate === "user_message_chunk");
    expect(said.map(({ content }) => content?.text)).toEqual([
      "think secretly; say the answer is 42",
      "prompt",
      "prompt",
    ]);
  });
}

testRows([["-32002"], ["-32602"], ["-32603"]], 1)(
  "an agent that answers %s for a lost session gets the transcript",
  async (code) => {
    const machine = durableVm(withScripted);
    const id = await open(machine.vm(), `load unknown=${code}`);
    expect(await ask(machine.vm(), id, "say precious")).toBe("precious");
    await machine.vm().exec("rm -r ~/.scripted-agent");
    await machine.sleep();
    expect(await ask(machine.vm(), id, "origin; prompt")).toMatch(/^new.*say precious.*precious/s);
    expect(JSON.parse(await ask(machine.vm(), id, "seen"))).toEqual([
      "initialize",
      "session/load",
      "session/new",
      "session/prompt",
      "session/prompt",
    ]);
  },
);

test("a resumed session keeps its working directory, environment, MCP servers and policy", async () => {
  const machine = durableVm(withScripted);
  await machine.vm().mkdir("/workspace/sub");
  const id = await open(machine.vm(), "load", {
    cwd: "/workspace/sub",
    env: { COLOUR: "blue" },
    mcpServers: [{ command: "echo", args: ["x"], env: { A: "1" } }],
    permissionPolicy: "allow_all",
  });
  const script = "cwd; env COLOUR; mcp; permission x allow_once,reject_once";
  const before = await ask(machine.vm(), id, script);
  await machine.sleep();
  expect(await ask(machine.vm(), id, "origin")).toBe("load");
  expect(await ask(machine.vm(), id, script)).toBe(before);
  expect(await machine.vm().getSession(id)).toMatchObject({
    cwd: "/workspace/sub",
    permissionPolicy: "allow_all",
  });
});

test("settings can be read and changed while the agent does not run", { tags: ["slow"] }, async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm(), "load");
  await machine.vm().setModel(id, "large");
  await machine.sleep();
  const models = (await machine.vm().getConfigOptions(id)).filter(({ category }) => category === "model");
  expect(models).toMatchObject([{ currentValue: "large" }]);
  expect((await machine.vm().setMode(id, "code")).error).toBeUndefined();
  expect(await ask(machine.vm(), id, "settings")).toBe("code large low");
});

test("two calls of resumeSession start one agent, before any prompt", { tags: ["slow"] }, async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm(), "load");
  await ask(machine.vm(), id, "say x");
  await machine.sleep();
  const [record] = await Promise.all([machine.vm().resumeSession(id), machine.vm().resumeSession(id)]);
  expect(record).toMatchObject({ sessionId: id, agentType: "scripted" });
  const { status, pid } = await machine.vm().getSession(id);
  expect(status).toBe("idle");
  expect(await ask(machine.vm(), id, "pid")).toBe(`${pid}`);
  expect(await count(machine.vm())).toBe(1);
});

test("if the agent crashes in session/load, the prompt has its exit code, and the session stays", {
  tags: ["slow"],
}, async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm(), "load crash-load=6");
  await ask(machine.vm(), id, "say x");
  await machine.sleep();
  const error = await failure(machine.vm().sendPrompt(id, "say y"));
  expect(error).toMatchObject({ metadata: { exitCode: 6, stderr: "scripted crash at load\n" } });
  expect(await machine.vm().listSessions()).toMatchObject([{ sessionId: id }]);
});

test("after a crash of the server the transcript has the events of the interrupted prompt", async () => {
  const machine = durableVm(withScripted);
  const id = await open(machine.vm(), "load");
  const turn = machine.vm().sendPrompt(id, "say half; await /never");
  turn.catch(() => undefined);
  await machine.test().event("sessionEvent", ({ event }) => brief(event) === "half");
  await machine.crash();
  const events = await machine.vm().getSessionEvents(id);
  expect(events.map(({ event }) => brief(event))).toEqual(["user_message_chunk", "half"]);
  expect(await ask(machine.vm(), id, "say other")).toBe("other");
});
