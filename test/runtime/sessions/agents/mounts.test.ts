// @module-tag any-user
import { chmodSync, renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { MemoryStore } from "../../../../src/runtime/store/store.ts";
import { openShared } from "../../../../src/runtime/vm-shared.ts";
import { installPackages } from "../../../support/agent-packages.ts";
import { startVm } from "../../../support/vm.ts";

const NAME = "@agentclientprotocol/claude-agent-acp";
const INSIDE = "/opt/agentos/agents/claude/node_modules";

function install() {
  const programs = { "claude-agent-acp": "console.log('started', process.version)" };
  const from = installPackages({ [NAME]: { version: "1.0.0", programs } });
  symlinkSync(`${NAME}/dist/claude-agent-acp.js`, join(from, "linked"));
  return from;
}

test("a VM sees an agent's packages read-only, without set-user-id programs and devices", async () => {
  const from = install();
  chmodSync(join(from, NAME, "dist/claude-agent-acp.js"), 0o4755);
  const { vm } = startVm({ agents: { claude: { from } } });
  const { stdout } = await vm.exec(`node ${INSIDE}/linked`);
  expect(stdout).toBe(`started ${process.version}\n`);
  expect((await vm.exec(`touch ${INSIDE}/x; rm -r ${INSIDE}/@agentclientprotocol`)).exitCode).not.toBe(0);
  await expect(vm.writeFile(`${INSIDE}/x`, "")).rejects.toMatchObject({ code: "EROFS" });
  const { stdout: options } = await vm.exec(`grep ' ${INSIDE} ' /proc/self/mountinfo | cut -d' ' -f6`);
  expect(options.trim().split(",")).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
});

test("a checkpoint does not contain the packages of agents", async () => {
  const { vm } = startVm({ agents: { claude: { from: install() } } }, undefined, {
    store: new MemoryStore(),
  });
  await vm.writeFile("/workspace/mine", "mine");
  await vm.checkpoint();
  const { source } = await vm.snapshotRootFilesystem();
  const paths = source.filesystem.entries.map(({ path }) => path);
  expect(paths).toContain("/workspace/mine");
  expect(paths.filter((path) => path.startsWith(INSIDE) && path !== INSIDE)).toEqual([]);
});

test("a VM boots without a folder that does not exist", async () => {
  const agents = { claude: { from: install() }, codex: { from: "/no/such/node_modules" } };
  const { vm } = startVm({ agents });
  expect((await vm.exec("ls /opt/agentos/agents")).stdout).toBe("claude\n");
});

test("a VM boots without a folder that was removed after another VM booted", async () => {
  const from = install();
  const { factory } = openShared(vmOptionsSchema.parse({ agents: { claude: { from } } }));
  const list = async () => (await startVm({}, () => factory).vm.exec(`ls ${INSIDE}`)).stdout;
  expect(await list()).toBe("@agentclientprotocol\nlinked\n");
  renameSync(from, `${from}-away`);
  expect(await list()).toBe("");
  renameSync(`${from}-away`, from);
  expect(await list()).toBe("@agentclientprotocol\nlinked\n");
});

test("a custom agent's folder is mounted at the path of its option", async () => {
  const from = install();
  const agents = { mine: { command: "node", mounts: [{ from, to: "/opt/mine" }] } };
  const { vm } = startVm({ agents });
  expect((await vm.exec("ls /opt/mine; touch /opt/mine/x")).stdout).toBe("@agentclientprotocol\nlinked\n");
  expect(await vm.exists("/opt/mine/x")).toBe(false);
});
