import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { installPackages } from "../../../support/agent-packages.ts";
import { runProgram } from "../../../support/program.ts";

const INDEX = new URL("../../../../src/runtime/sessions/agents/registry.ts", import.meta.url);

/** A server's program that prints the folders of its agents. */
const PROGRAM = `
import { AgentRegistry } from ${JSON.stringify(INDEX.href)};
const agents = new AgentRegistry({});
console.log(JSON.stringify({ mounts: agents.provision.mounts, qwen: agents.list().find(({ id }) => id === "qwen") }));
`;

function install() {
  const folder = installPackages({ "@qwen-code/qwen-code": { version: "3.2.1", programs: { qwen: "" } } });
  const app = dirname(folder);
  writeFileSync(join(app, "server.mjs"), PROGRAM);
  return { folder, app };
}

const FOUND = { id: "qwen", title: "Qwen Code", installed: true, version: "3.2.1", reason: null };

test("finds an agent in the node_modules of the server's program", async () => {
  const { folder, app } = install();
  const { stdout } = await runProgram([join(app, "server.mjs")], { cwd: tmpdir() });
  expect(JSON.parse(stdout)).toEqual({
    mounts: [{ hostPath: folder, path: "/opt/agentos/agents/qwen/node_modules", optional: true }],
    qwen: FOUND,
  });
});

test("finds an agent in the node_modules of the server's working directory, or above it", async () => {
  const { app } = install();
  const below = join(app, "some", "folder");
  mkdirSync(below, { recursive: true });
  const { stdout } = await runProgram(["--input-type=module", "--eval", PROGRAM], { cwd: below });
  expect(JSON.parse(stdout).qwen).toEqual(FOUND);
});

test("a missing agent names the searched folder and the command to install it", async () => {
  const { stdout } = await runProgram(["--input-type=module", "--eval", PROGRAM], { cwd: tmpdir() });
  expect(JSON.parse(stdout)).toEqual({
    mounts: [],
    qwen: {
      ...FOUND,
      installed: false,
      version: null,
      reason:
        "the package @qwen-code/qwen-code is not in the server's node_modules; " +
        "npm install @qwen-code/qwen-code@0.24.4",
    },
  });
});
