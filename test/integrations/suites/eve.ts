import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { defineSandboxProvider, type SandboxProviderImplementation } from "eve/sandbox/provider";
import { eveProvider } from "../../../src/adapters/ai-sdk/index.ts";
import { INTEGRATIONS } from "../install.ts";
import { client } from "../server.ts";

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
