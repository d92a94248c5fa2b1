import assert from "node:assert/strict";
import { after, test } from "node:test";
import { defineProvider } from "@computesdk/provider";
import { compute } from "computesdk";
import { computeProvider } from "../../../src/adapters/computesdk/index.ts";
import { client } from "../server.ts";

after(() => client.dispose());

const agentVm = defineProvider(computeProvider(client.vm));

test("compute makes, finds, uses, lists and destroys sandboxes", async () => {
  compute.setConfig({ provider: agentVm({}) });
  const sandbox = await compute.sandbox.create();
  const { sandboxId } = sandbox;
  const result = await sandbox.runCommand('echo "$GREETING"; pwd; echo err >&2; exit 3', {
    env: { GREETING: "hello" },
  });
  assert.equal(result.exitCode, 3);
  assert.equal(result.stdout, "hello\n/home/agentos\n");
  assert.equal(result.stderr, "err\n");
  await sandbox.filesystem.writeFile("/home/agentos/dir/file", "content");
  assert.equal(await sandbox.filesystem.readFile("/home/agentos/dir/file"), "content");
  assert.deepEqual(
    (await sandbox.filesystem.readdir("/home/agentos/dir")).map(({ name }) => name),
    ["file"],
  );
  assert.equal(await sandbox.filesystem.exists("/home/agentos/none"), false);
  assert.equal((await sandbox.getInfo()).status, "running");
  const again = await compute.sandbox.getById(sandboxId);
  assert.equal(await again?.filesystem.readFile("/home/agentos/dir/file"), "content");
  assert.equal(await compute.sandbox.getById("none"), null);
  await sandbox.runCommand("exec python3 -m http.server 4321", { background: true });
  await client.vm.get(["compute", "sandbox", sandboxId]).waitForPort(4321);
  assert.match(await (await fetch(await sandbox.getUrl({ port: 4321 }))).text(), /dir/);
  await compute.sandbox.destroy(sandboxId);
  await compute.sandbox.destroy(sandboxId);
  assert.equal(await compute.sandbox.getById(sandboxId), null);
});

test("a sandbox begins with the files of a snapshot", async () => {
  const provider = agentVm({});
  const first = await provider.sandbox.create();
  await first.filesystem.writeFile("/home/agentos/kept", "old");
  const snapshot = await provider.snapshot?.create(first.sandboxId, { name: "before" });
  await first.filesystem.writeFile("/home/agentos/kept", "new");
  const second = await provider.sandbox.create({ snapshotId: snapshot.id });
  assert.equal(await second.filesystem.readFile("/home/agentos/kept"), "old");
  assert.deepEqual(
    (await provider.snapshot?.list())?.map(({ id }) => id),
    [snapshot.id],
  );
  const listed = (await provider.sandbox.list()).map(({ sandboxId }) => sandboxId);
  assert.deepEqual(listed.sort(), [first.sandboxId, second.sandboxId].sort());
  await provider.snapshot?.delete(snapshot.id);
  await Promise.all([first.destroy(), second.destroy()]);
});

test("a command streams its output", async () => {
  const sandbox = await agentVm({}).sandbox.create();
  const heard: string[] = [];
  await sandbox.runCommand("echo one; echo two >&2", {
    onStdout: (text) => heard.push(`out ${text}`),
    onStderr: (text) => heard.push(`err ${text}`),
  });
  assert.deepEqual(heard.sort(), ["err two\n", "out one\n"]);
  await sandbox.destroy();
});
