import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { AgentRegistry } from "../../../../src/runtime/sessions/agents/registry.ts";
import { installPackages } from "../../../support/agent-packages.ts";

const CLAUDE = "@agentclientprotocol/claude-agent-acp";

function registry(agents: object) {
  return new AgentRegistry(vmOptionsSchema.parse({ agents }).agents);
}

function launch(agents: object, name: string, env: Record<string, string> = {}, instructions?: string) {
  return registry(agents)
    .find(name)
    .launch({ env: { HOME: "/home/agentos", ...env }, instructions });
}

test("an agent has the version of its package", () => {
  const from = installPackages({ [CLAUDE]: { version: "7.8.9", programs: { "claude-agent-acp": "" } } });
  const listed = registry({ claude: { from } }).list();
  expect(listed.map(({ id }) => id)).toEqual(["claude", "codex", "opencode", "gemini", "qwen", "pi"]);
  expect(listed[0]).toEqual({
    id: "claude",
    title: "Claude Code",
    installed: true,
    version: "7.8.9",
    reason: null,
  });
});

test("an agent starts with the server's Node and the program in its package.json", () => {
  const from = installPackages({ [CLAUDE]: { version: "1.0.0", programs: { "claude-agent-acp": "" } } });
  expect(launch({ claude: { from } }, "claude", { A: "1" })).toEqual({
    command: "/opt/agentos/bin/node",
    args: [`/opt/agentos/agents/claude/node_modules/${CLAUDE}/dist/claude-agent-acp.js`],
    env: { HOME: "/home/agentos", A: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
    files: [],
  });
});

test("the error for a missing agent has the command that installs it", () => {
  const from = installPackages({ other: { version: "1.0.0" } });
  const install = "npm install pi-acp@0.0.34 @earendil-works/pi-coding-agent@0.87.1";
  expect(() => registry({ pi: { from } }).find("pi")).toThrow(
    expect.objectContaining({
      code: "agent_not_installed",
      message: `The agent pi is not installed: the package pi-acp is not in ${from}. Install it with: ${install}`,
      metadata: expect.objectContaining({
        agentType: "pi",
        packages: ["pi-acp", "@earendil-works/pi-coding-agent"],
        install,
      }),
    }),
  );
  expect(registry({ pi: { from } }).list()[5]).toEqual({
    id: "pi",
    title: "pi",
    installed: false,
    version: null,
    reason: `the package pi-acp is not in ${from}; ${install}`,
  });
});

test("the second package of an agent is required too", () => {
  const from = installPackages({ "pi-acp": { version: "1.0.0", programs: { "pi-acp": "" } } });
  expect(() => registry({ pi: { from } }).find("pi")).toThrow("@earendil-works/pi-coding-agent is not in");
});

test("the error names a native program that npm has omitted", () => {
  const from = installPackages({ "opencode-ai": { version: "1.0.0", programs: { opencode: "" } } });
  expect(() => registry({ opencode: { from } }).find("opencode")).toThrow(
    `The agent opencode is not installed: ${from} contains none of opencode-linux-${process.arch}`,
  );
});

test("a package behind a link out of the folder is not installed, because VMs cannot follow the link", () => {
  const elsewhere = installPackages({ [CLAUDE]: { version: "1.0.0", programs: { "claude-agent-acp": "" } } });
  const from = installPackages({ "@agentclientprotocol/x": { version: "1.0.0" } });
  symlinkSync(join(elsewhere, CLAUDE), join(from, CLAUDE));
  expect(() => registry({ claude: { from } }).find("claude")).toThrow(`${CLAUDE} is not in ${from}`);
});

test("follows links within the folder, as pnpm makes them", () => {
  const from = installPackages({
    [`.pnpm/x/node_modules/${CLAUDE}`]: { version: "1.2.3", programs: { "claude-agent-acp": "" } },
    "@agentclientprotocol/x": { version: "1.0.0" },
  });
  symlinkSync(join("..", ".pnpm/x/node_modules", CLAUDE), join(from, CLAUDE));
  expect(registry({ claude: { from } }).list()[0]?.version).toBe("1.2.3");
});

test("a folder that does not exist when the first VM boots is never installed", () => {
  const from = installPackages({ [CLAUDE]: { version: "1.0.0", programs: { "claude-agent-acp": "" } } });
  rmSync(from, { recursive: true });
  const agents = registry({ claude: { from } });
  expect(agents.provision.mounts).toEqual([]);
  expect(() => agents.find("claude")).toThrow(`the folder ${from} did not exist when the first VM booted`);
});

test("the error for an unknown agent lists the known ones", () => {
  const agents = registry({ mine: { command: "mine" } });
  expect(() => agents.find("hers")).toThrow(
    expect.objectContaining({
      code: "unknown_agent_type",
      message: "Unknown agent type: hers (known: claude, codex, opencode, gemini, qwen, pi, mine)",
    }),
  );
  expect(() => agents.find("constructor")).toThrow("Unknown agent type: constructor");
});

test("a custom agent may have the name of a built-in one", () => {
  const agents = registry({ claude: { command: "/srv/claude", args: ["--acp"], env: { A: "1", B: "1" } } });
  expect(agents.list().filter(({ id }) => id === "claude")).toEqual([
    { id: "claude", title: "claude", installed: true, version: null, reason: null },
  ]);
  expect(agents.find("claude").launch({ env: { B: "2" }, instructions: undefined })).toEqual({
    command: "/srv/claude",
    args: ["--acp"],
    env: { A: "1", B: "2" },
    files: [],
  });
});

test("a custom agent with a missing mount is not installed", () => {
  const agents = registry({ mine: { command: "mine", mounts: [{ from: "/no/such", to: "/opt/mine" }] } });
  expect(agents.list().at(-1)).toMatchObject({ installed: false, reason: "/no/such does not exist" });
  expect(() => agents.find("mine")).toThrow("The agent mine is not installed: /no/such does not exist");
});
