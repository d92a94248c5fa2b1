// @module-tag slow
import { spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";
import { client, ndJsonStream, PROTOCOL_VERSION } from "@agentclientprotocol/sdk";
import { expect, onTestFinished, test } from "vitest";
import { cliEnv, cliOf, succeeding } from "../support/cli.ts";
import { programEnv } from "../support/program-env.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { fileServer } from "../support/servers.ts";

const server = fileServer("scripted");
const run = cliOf(server);
const out = succeeding(run);
const envOf = cliEnv();

test("a script starts a session, streams answers, and is never asked", async () => {
  await server().client().vm.create("script");
  const id = (await out(["session", "start", "script", "--agent", "scripted"])).trim();
  expect(await out(["session", "prompt", "script", "think hm; say one; tool t; say two"])).toBe("onetwo\n");
  expect(await out(["session", "prompt", "script"], "line\npermission bash allow_once,reject_once\n")).toBe(
    "bash: reject_once\n",
  );
  const allowed = [
    "session",
    "prompt",
    "--answer",
    "once",
    "script",
    "permission bash allow_once,reject_once",
  ];
  expect(await out(allowed)).toBe("bash: allow_once\n");
  const lines = (await out(["session", "prompt", "--json", "script", "say x"])).trim().split("\n");
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
    text: "x",
    response: { result: { stopReason: "end_turn" } },
  });
  await out([
    "session",
    "prompt",
    "script",
    'update {"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"\\u001b[31mred"}}',
  ]);
  const history = await out(["session", "history", "script", id]);
  expect(history).toMatch(/^> think hm.*\n~ hm\none\n\* Run t\ntwo\n/);
  expect(history).toContain("\\u001b[31mred");
  expect(await out(["session", "export", "script", id])).toMatch(
    /^# Session [\s\S]*\n## Agent\n[\s\S]*\none\n/,
  );
  const exported = JSON.parse(await out(["session", "export", "script", "--format", "json", id]));
  expect(exported).toMatchObject({ session: { sessionId: id }, events: expect.any(Array) });
  expect(await out(["session", "ls", "script"])).toMatch(new RegExp(`^${id}\tscripted\topen\t`));
  expect(await out(["session", "agents", "script"])).toMatch(/^scripted\tscripted\t-\tyes$/m);
  await out(["session", "close", "script", id]);
  const closed = await run(["session", "prompt", "script", "--session", id, "say x"]);
  expect(closed).toMatchObject({ code: 4, stderr: expect.stringContaining("call KEY resumeSession") });
  expect(await run(["acp", "script", "--agent", "nobody"])).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(/^agent-vm: Unknown agent type: nobody \(known: .*scripted/),
  });
  await out(["session", "rm", "script", id]);
  expect(await run(["session", "history", "script", id])).toMatchObject({ code: 4 });
  expect(await run(["session", "start", "script", "--agent", "nobody"])).toMatchObject({ code: 4 });
});

test("an editor speaks ACP with an agent in a VM: updates, permissions, cancel and load", async () => {
  await server().client().vm.create("editor");
  const child = spawn(
    process.execPath,
    [AGENT_VM_PROGRAM, "acp", "editor", "--agent", "scripted", "-e", "SCRIPTED=load"],
    {
      env: { ...programEnv(), ...envOf(server()) },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  onTestFinished(() => void child.kill());
  const texts: string[] = [];
  const kinds: string[] = [];
  const app = client({ name: "editor" })
    .onRequest("session/request_permission", ({ params }) => {
      const [option] = params.options;
      return { outcome: { outcome: "selected", optionId: option?.optionId ?? "" } };
    })
    .onNotification("session/update", ({ params: { update } }) => {
      kinds.push(update.sessionUpdate);
      if (update.sessionUpdate === "agent_message_chunk" && update.content.type === "text")
        texts.push(update.content.text);
    });
  const { agent, closed } = app.connect(
    ndJsonStream(
      Writable.toWeb(child.stdin) as WritableStream<Uint8Array>,
      Readable.toWeb(child.stdout) as ReadableStream<Uint8Array>,
    ),
  );
  const started = await agent.request("initialize", {
    protocolVersion: PROTOCOL_VERSION,
    clientCapabilities: {},
  });
  expect(started).toMatchObject({
    protocolVersion: PROTOCOL_VERSION,
    agentCapabilities: { loadSession: true },
  });
  const { sessionId, modes } = await agent.request("session/new", {
    cwd: "/home/me/project",
    mcpServers: [],
  });
  expect(modes?.currentModeId).toBeDefined();
  const ask = (text: string) =>
    agent.request("session/prompt", { sessionId, prompt: [{ type: "text", text }] });
  expect(await ask("say a; tool t; say b; permission bash allow_once,reject_once")).toMatchObject({
    stopReason: "end_turn",
  });
  expect(texts.join("")).toBe("abbash: allow_once");
  expect(kinds).not.toContain("user_message_chunk");
  const turn = ask("say waiting; until-cancel");
  await expect.poll(() => texts).toContain("waiting");
  await agent.notify("session/cancel", { sessionId });
  expect(await turn).toMatchObject({ stopReason: "cancelled" });
  texts.length = 0;
  await agent.request("session/load", { sessionId, cwd: "/home/me/project", mcpServers: [] });
  expect(texts.join("")).toMatch(/^abbash: allow_once/);
  expect(kinds).toContain("user_message_chunk");
  await expect(
    agent.request("session/prompt", { sessionId: "nobody", prompt: [{ type: "text", text: "x" }] }),
  ).rejects.toThrow("Session not found: nobody");
  child.stdin.end();
  await closed;
  expect(await out(["session", "ls", "editor"])).toMatch(/\tclosed\t/);
});
