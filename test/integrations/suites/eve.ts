import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { defineSandboxProvider, type SandboxProviderImplementation } from "eve/sandbox/provider";
import { eveProvider } from "../../../src/adapters/ai-sdk/index.ts";
import { freePort } from "../../support/free-port.ts";
import { INTEGRATIONS } from "../install.ts";
import { client, endpoint } from "../server.ts";

after(() => client.dispose());

/** eve's own modules that no subpath exports: its runtime of sandboxes and its tools. */
const internal = (path: string) => import(join(INTEGRATIONS, "node_modules/eve/dist/src", path));
const { getSandboxEnvironmentRuntime } = await internal("shared/sandbox-environment.js");
const { createSandboxProviderResources } = await internal("shared/sandbox-provider.js");
const { executeBashOnSandbox } = await internal("execution/sandbox/bash.js");

type Implementation = SandboxProviderImplementation<object, { key: string[] }, { key: string[] }>;

const prepared: string[] = [];
const provider = defineSandboxProvider(eveProvider(client.vm, { keyPrefix: ["eve-test"] }));
const environment = provider.environment({
  revision: crypto.randomUUID(),
  env: { COLOR: "blue" },
  async prepare(sandbox) {
    prepared.push((await sandbox.run({ command: "cat schema.sql && touch /workspace/prepared" })).stdout);
  },
});
const { implementation, providerName } = getSandboxEnvironmentRuntime(environment) as {
  implementation: Implementation;
  providerName: string;
};
const resources = createSandboxProviderResources({
  resourcesKey: "one",
  seedFiles: [
    { path: "/workspace/schema.sql", content: "create table t;\n" },
    { path: "$HOME/.agents/skills/pdf/SKILL.md", content: "Reads PDF\n" },
  ],
});
const context = (id: string) => ({ session: { id } }) as Parameters<Implementation["start"]>[0];

test("eve prepares an environment once, and each session works in a fork of it", async () => {
  assert.equal(providerName, "agent-vm");
  const preparation = { resources, sourceRevision: "1" } as Parameters<Implementation["prepare"]>[0];
  const artifact = await implementation.prepare(preparation);
  assert.deepEqual(await implementation.prepare(preparation), artifact);
  assert.deepEqual(prepared, ["create table t;\n"]);

  const [one, two] = await Promise.all(
    ["one", "two"].map((id) => implementation.start(context(id), undefined, artifact)),
  );
  assert.ok(one && two);
  const { sandbox } = one.handle;
  const line =
    "ls /workspace; cat $HOME/.agents/skills/pdf/SKILL.md; echo $AI_AGENT $COLOR; pwd; echo own > own.txt";
  const bash = await executeBashOnSandbox(sandbox, { command: line });
  assert.equal(bash.status, "completed");
  assert.equal(bash.stdout, "prepared\nschema.sql\nReads PDF\neve blue\n/workspace\n");
  assert.equal(await two.handle.sandbox.readTextFile({ path: "own.txt" }), null);
  assert.equal(sandbox.resolvePath("a/../b"), "/workspace/b");
  await sandbox.writeTextFile({ path: "folder/a", content: "a" });
  await assert.rejects(Promise.resolve(sandbox.removePath({ path: "folder" })));
  await sandbox.removePath({ path: "folder", recursive: true });
  await sandbox.removePath({ path: "folder", force: true });

  await one.handle.onSandboxStop();
  const again = await implementation.resume(context("one"), artifact, one.state);
  assert.equal(await again.sandbox.readTextFile({ path: "own.txt" }), "own\n");
  await again.onRuntimeShutdown();
  const restarted = await implementation.start(context("one"), undefined, artifact);
  assert.equal(await restarted.handle.sandbox.readTextFile({ path: "own.txt" }), "own\n");

  await implementation.onSessionEnd?.(context("one"), artifact, one.state, { reason: "completed" });
  await implementation.onSessionEnd?.(context("one"), artifact, one.state, { reason: "completed" });
  await assert.rejects(implementation.resume(context("one"), artifact, one.state));
  await two.handle.onSandboxDelete();
  await assert.rejects(client.vm.get([...two.state.key]).status());
});

const EVE = join(INTEGRATIONS, "node_modules/eve/bin/eve.js");
const APP = join(import.meta.dirname, "eve-app");
const env = {
  ...process.env,
  // Under "test" eve answers with a model of its own.
  NODE_ENV: "production",
  ENDPOINT: endpoint,
  REVISION: crypto.randomUUID(),
  EVE_TELEMETRY_DISABLED: "1",
  CI: "1",
};

/** Starts the built application. Resolves when it listens. */
async function start(port: number): Promise<ChildProcess> {
  const args = [EVE, "start", "--host", "127.0.0.1", "--port", String(port)];
  const app = spawn(process.execPath, args, { cwd: APP, env, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: app.stdout })) if (line.includes("listening")) return app;
  throw new Error("eve has ended");
}

test("an agent of eve, built and started by eve, works in a VM with its workspace", async () => {
  // A run that was cut off leaves its sessions, and a build whose sessions go on.
  for (const left of [".eve", ".output"]) await rm(join(APP, left), { recursive: true, force: true });
  await promisify(execFile)(process.execPath, [EVE, "build"], { cwd: APP, env, maxBuffer: 10_000_000 });
  const port = await freePort();
  const app = await start(port);
  try {
    const url = `http://127.0.0.1:${port}/eve/v1/session`;
    const headers = { "content-type": "application/json" };
    const created = await fetch(url, { method: "POST", headers, body: JSON.stringify({ message: "Work" }) });
    const { sessionId } = (await created.json()) as { sessionId: string };
    let seen = "";
    for await (const piece of (await fetch(`${url}/${sessionId}/stream`)).body ?? []) {
      seen += Buffer.from(piece).toString();
      if (seen.includes('"session.waiting"') || seen.includes('failed"')) break;
    }
    assert.match(seen, /"stdout":"a note of the agent\\nagentos\\n"/);
    assert.match(seen, /"content":"1: 42"/);
    assert.match(seen, /"message":"done"/);
  } finally {
    app.kill("SIGTERM");
    await once(app, "exit");
  }
});
