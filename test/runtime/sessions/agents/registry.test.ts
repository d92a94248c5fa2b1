import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { agentsOf } from "../../../../src/runtime/sessions/agents/index.ts";
import { installPackages } from "../../../support/agent-packages.ts";

const CLAUDE = "@agentclientprotocol/claude-agent-acp";

function registry(agents: object) {
  return agentsOf(vmOptionsSchema.parse({ agents }));
}

function launch(agents: object, name: string, env: Record<string, string> = {}, instructions?: string) {
  return registry(agents)
    .find(name)
    .launch({ env: { HOME: "/home/agentos", ...env }, instructions });
}

test("an agent's version is that of its package", () => {
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

test("an agent is started by the program that its package names, with the server's Node", () => {
  const from = installPackages({ [CLAUDE]: { version: "1.0.0", programs: { "claude-agent-acp": "" } } });
  expect(launch({ claude: { from } }, "claude", { A: "1" })).toEqual({
    command: "/opt/agentos/bin/node",
    args: [`/opt/agentos/agents/claude/node_modules/${CLAUDE}/dist/claude-agent-acp.js`],
    env: { HOME: "/home/agentos", A: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" },
    files: [],
  });
});

test("an agent that is not installed is told with the command that installs it", () => {
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

test("the second package of an agent is asked for as well", () => {
  const from = installPackages({ "pi-acp": { version: "1.0.0", programs: { "pi-acp": "" } } });
  expect(() => registry({ pi: { from } }).find("pi")).toThrow("@earendil-works/pi-coding-agent is not in");
});

test("a native program that npm left out is told", () => {
  const from = installPackages({ "opencode-ai": { version: "1.0.0", programs: { opencode: "" } } });
  expect(() => registry({ opencode: { from } }).find("opencode")).toThrow(
    `The agent opencode is not installed: ${from} has none of opencode-linux-${process.arch}`,
  );
});

test("a package that is linked from elsewhere is not there: the link leads nowhere inside", () => {
  const elsewhere = installPackages({ [CLAUDE]: { version: "1.0.0", programs: { "claude-agent-acp": "" } } });
  const from = installPackages({ "@agentclientprotocol/x": { version: "1.0.0" } });
  symlinkSync(join(elsewhere, CLAUDE), join(from, CLAUDE));
  expect(() => registry({ claude: { from } }).find("claude")).toThrow(`${CLAUDE} is not in ${from}`);
});

test("links within the folder are followed, as pnpm makes them", () => {
  const from = installPackages({
    [`.pnpm/x/node_modules/${CLAUDE}`]: { version: "1.2.3", programs: { "claude-agent-acp": "" } },
    "@agentclientprotocol/x": { version: "1.0.0" },
  });
  symlinkSync(join("..", ".pnpm/x/node_modules", CLAUDE), join(from, CLAUDE));
  expect(registry({ claude: { from } }).list()[0]?.version).toBe("1.2.3");
});

test("what is not mounted is not installed, also when it comes later", () => {
  const from = installPackages({ [CLAUDE]: { version: "1.0.0", programs: { "claude-agent-acp": "" } } });
  rmSync(from, { recursive: true });
  const agents = registry({ claude: { from } });
  expect(agents.mounts).toEqual([]);
  expect(() => agents.find("claude")).toThrow(`there was no folder ${from} when the first VM booted`);
});

test("an unknown agent is told with those that are known", () => {
  const agents = registry({ mine: { command: "mine" } });
  expect(() => agents.find("hers")).toThrow(
    expect.objectContaining({
      code: "unknown_agent_type",
      message: "Unknown agent type: hers (known: claude, codex, opencode, gemini, qwen, pi, mine)",
    }),
  );
  expect(() => agents.find("constructor")).toThrow("Unknown agent type: constructor");
});

test("an agent of one's own, also under the name of a built-in one", () => {
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

test("an own agent whose mount is missing is not installed", () => {
  const agents = registry({ mine: { command: "mine", mounts: [{ from: "/no/such", to: "/opt/mine" }] } });
  expect(agents.list().at(-1)).toMatchObject({ installed: false, reason: "there is no /no/such" });
  expect(() => agents.find("mine")).toThrow("The agent mine is not installed: there is no /no/such");
});
