import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { applyDiff, Runner, setTracingDisabled } from "@openai/agents-core";
import * as sandbox from "@openai/agents-core/sandbox";
import { assistantMessage, functionCall, modelResponse, ScriptedModel } from "@openai/agents-core/testing";
import { openAiSandbox } from "../../../src/adapters/openai-agents/index.ts";
import { client } from "../server.ts";

after(() => client.dispose());
setTracingDisabled(true);

const vms = openAiSandbox(client.vm, { ...sandbox, applyDiff });
const call = (name: string, args: Record<string, unknown>) =>
  modelResponse([functionCall(name, args, { callId: crypto.randomUUID() })]);

test("an agent works in a sandbox with its shell and its patches, and the sandbox is gone afterwards", async () => {
  const model = new ScriptedModel([
    call("exec_command", { cmd: "pwd; cat note.txt; echo $COLOR; echo made > made.txt" }),
    call("exec_command", { cmd: "cat made.txt; sleep 1000", yield_time_ms: 300 }),
    modelResponse([assistantMessage("All done")]),
  ]);
  const manifest = new sandbox.Manifest({
    entries: { "note.txt": sandbox.file({ content: "from the manifest\n" }) },
    environment: { COLOR: "blue" },
  });
  const agent = new sandbox.SandboxAgent({ name: "coder", model, defaultManifest: manifest });
  const options = { key: crypto.randomUUID() };
  const result = await new Runner().run(agent, "Work", { sandbox: { client: vms, options } });
  assert.equal(result.finalOutput, "All done");
  const outputs = result.newItems.flatMap((item) =>
    item.type === "tool_call_output_item" ? [String(item.output)] : [],
  );
  assert.match(
    outputs[0] ?? "",
    /Process exited with code 0\nOutput:\n\/workspace\nfrom the manifest\nblue\n/,
  );
  assert.match(outputs[1] ?? "", /Process running with session ID \d+\nOutput:\nmade\n/);
  await assert.rejects(client.vm.get(["openai", options.key]).status());
});

test("a command answers early, takes input, and is interrupted", async () => {
  const session = await vms.create();
  const first = await session.exec({
    cmd: "echo ready; read line; echo got $line >&2; sleep 1000",
    yieldTimeMs: 500,
  });
  assert.equal(first.output, "ready\n");
  assert.equal(first.exitCode, undefined);
  const sessionId = first.sessionId as number;
  assert.match(await session.writeStdin({ sessionId, chars: "x\n", yieldTimeMs: 500 }), /Output:\ngot x\n/);
  assert.match(
    await session.writeStdin({ sessionId, chars: "\u0003", yieldTimeMs: 10_000 }),
    /exited with code 130/,
  );
  assert.match(await session.writeStdin({ sessionId }), /session not found/);
  const short = await session.exec({ cmd: "seq 10000; exit 3", maxOutputTokens: 100 });
  assert.equal(short.exitCode, 3);
  assert.ok(short.output.length < 1_000 && (short.originalTokenCount ?? 0) > 10_000);
  await session.delete();
});

test("a command with a terminal has one, and goes on in it", async () => {
  const session = await vms.create();
  const first = await session.exec({ cmd: "tty; read line; echo got $line", tty: true, yieldTimeMs: 500 });
  assert.match(first.output, /\/dev\/pts\/\d+/);
  const sessionId = first.sessionId as number;
  assert.match(
    await session.writeStdin({ sessionId, chars: "hello\r", yieldTimeMs: 10_000 }),
    /code 0\nOutput:\nhello\r\ngot hello/,
  );
  await session.delete();
});

test("files: entries of every kind, lists, and patches", async () => {
  const folder = await mkdtemp(join(tmpdir(), "agent-vm-openai-"));
  await mkdir(join(folder, "sub"));
  await writeFile(join(folder, "sub", "program"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
  const session = await vms.create();
  try {
    await session.applyManifest(
      new sandbox.Manifest({
        entries: {
          tree: sandbox.dir({ children: { "a.txt": sandbox.file({ content: "a\n" }) } }),
          copied: sandbox.localDir({ src: folder }),
        },
        environment: { SIZE: "12" },
      }),
    );
    const listed = await session.listDir({ path: "." });
    assert.deepEqual(listed.map(({ path, type }) => `${path} ${type}`).sort(), ["copied dir", "tree dir"]);
    assert.equal((await session.exec({ cmd: "./copied/sub/program; echo $SIZE" })).output, "ran\n12\n");
    const editor = session.createEditor();
    await editor.createFile({ path: "new/b.txt", diff: "+one\n+two" });
    await editor.updateFile({ path: "new/b.txt", diff: "@@\n one\n-two\n+2" });
    assert.equal(new TextDecoder().decode(await session.readFile({ path: "new/b.txt" })), "one\n2");
    await editor.deleteFile({ path: "new/b.txt" });
    assert.equal(await session.pathExists("new/b.txt"), false);
    assert.equal(await session.directoryExists("new"), true);
    await assert.rejects(session.materializeEntry({ path: "m", entry: sandbox.mount({ source: "/x" }) }), {
      code: "not_supported",
    });
    await assert.rejects(session.exec({ cmd: "id", runAs: "root" }), { code: "invalid_argument" });
  } finally {
    await session.delete();
    await rm(folder, { recursive: true });
  }
});

test("a workspace moves as an archive, and a session resumes from its state", async () => {
  const first = await vms.create();
  await first.exec({ cmd: "mkdir -p d; echo kept > d/f" });
  const archive = await first.persistWorkspace();
  const second = await vms.create();
  await second.hydrateWorkspace(archive);
  assert.equal((await second.exec({ cmd: "cat d/f" })).output, "kept\n");

  const stored = JSON.parse(JSON.stringify(await vms.serializeSessionState(first.state)));
  const state = await vms.deserializeSessionState({ ...stored, manifest: first.state.manifest });
  await first.shutdown();
  const again = await vms.resume(state);
  assert.equal((await again.exec({ cmd: "cat d/f" })).output, "kept\n");
  await assert.rejects(vms.deserializeSessionState({ key: ["other"], manifest: first.state.manifest }));
  await vms.delete(state);
  await second.delete();
});

test("a port has an address of its own", async () => {
  const session = await vms.create();
  await session.exec({ cmd: "exec python3 -m http.server 4321", yieldTimeMs: 0 });
  await client.vm.get(session.state.key).waitForPort(4321);
  const { url, host, port } = await session.resolveExposedPort(4321);
  assert.ok(url.startsWith(`http://${host}:${port}/`));
  assert.equal((await fetch(url)).status, 200);
  await session.delete();
});
