// @module-tag any-user
import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { AgentRegistry } from "../../../../src/runtime/sessions/agents/registry.ts";
import { installPackages } from "../../../support/agent-packages.ts";

const PACKAGES = {
  "@agentclientprotocol/claude-agent-acp": { version: "1.0.0", programs: { "claude-agent-acp": "" } },
  "@agentclientprotocol/codex-acp": { version: "1.0.0", programs: { "codex-acp": "" } },
  "@google/gemini-cli": { version: "1.0.0", programs: { gemini: "" } },
  "@qwen-code/qwen-code": { version: "1.0.0", programs: { qwen: "" } },
  "opencode-ai": { version: "1.0.0", files: { "bin/opencode": "" } },
  "pi-acp": { version: "1.0.0", programs: { "pi-acp": "" } },
  "@earendil-works/pi-coding-agent": { version: "1.0.0", programs: { pi: "" } },
};

function agent(name: string) {
  const from = installPackages(PACKAGES);
  return new AgentRegistry(vmOptionsSchema.parse({ agents: { [name]: { from } } }).agents).find(name);
}

const HOME = { HOME: "/home/agentos" };

test("claude gets instructions in the request of the session", () => {
  expect(agent("claude").sessionMeta?.("be kind")).toEqual({ systemPrompt: { append: "be kind" } });
});

test("codex gets instructions after the user's own ones", () => {
  const env = { ...HOME, CODEX_CONFIG: '{"model":"m","developer_instructions":"be brief"}' };
  expect(JSON.parse(agent("codex").launch({ env, instructions: "be kind" }).env.CODEX_CONFIG ?? "")).toEqual({
    model: "m",
    developer_instructions: "be brief\n\nbe kind",
  });
});

test("a configuration that is not JSON reaches the agent unchanged", () => {
  const env = { ...HOME, CODEX_CONFIG: "{" };
  expect(agent("codex").launch({ env, instructions: "be kind" }).env.CODEX_CONFIG).toBe("{");
});

test("codex finds a profile without its own sandbox in its configuration folder", () => {
  const paths = (env: Record<string, string>) =>
    agent("codex")
      .launch({ env, instructions: undefined })
      .files.map(({ path }) => path);
  expect(paths(HOME)).toEqual(["/home/agentos/.codex/config.toml"]);
  expect(paths({ ...HOME, CODEX_HOME: "/srv/codex" })).toEqual(["/srv/codex/config.toml"]);
});

test("codex authenticates with its API key, unless a provider has its own key", () => {
  const { authMethod } = agent("codex");
  expect(authMethod?.({ OPENAI_API_KEY: "k" })).toBe("api-key");
  expect(authMethod?.({ OPENAI_API_KEY: "k", MODEL_PROVIDER: "mine" })).toBeUndefined();
  expect(authMethod?.({})).toBeUndefined();
});

test("opencode gets instructions as a file, after the user's own ones", () => {
  const env = { ...HOME, OPENCODE_CONFIG_CONTENT: '{"instructions":["/a.md"],"model":"m"}' };
  const { command, args, env: given, files } = agent("opencode").launch({ env, instructions: "be kind" });
  const [config, instructions] = files;
  expect([command, ...args]).toEqual([
    "/opt/agentos/agents/opencode/node_modules/opencode-ai/bin/opencode",
    "acp",
  ]);
  expect(config?.path).toBe("/home/agentos/.config/opencode/opencode.json");
  expect(instructions?.content).toBe("be kind\n");
  expect(JSON.parse(given.OPENCODE_CONFIG_CONTENT ?? "")).toEqual({
    instructions: ["/a.md", instructions?.path],
    model: "m",
  });
});

test("sessions with different instructions use different files", () => {
  const files = (instructions: string) =>
    agent("opencode")
      .launch({ env: HOME, instructions })
      .files.map(({ path }) => path);
  expect(files("be kind")).toEqual(files("be kind"));
  expect(files("be kind")).not.toEqual(files("be brief"));
});

test("a script starts pi and adds its instructions", () => {
  const { env, files } = agent("pi").launch({ env: HOME, instructions: "be kind" });
  const [starter, instructions] = files;
  expect(env.PI_ACP_PI_COMMAND).toBe(starter?.path);
  expect(starter).toMatchObject({
    executable: true,
    content: [
      "#!/bin/sh",
      "exec /opt/agentos/bin/node '/opt/agentos/agents/pi/node_modules/@earendil-works/pi-coding-agent/dist/pi.js'" +
        ` --append-system-prompt '${instructions?.path}' "$@"`,
      "",
    ].join("\n"),
  });
});

test("qwen gets instructions as an argument, and asks its user", () => {
  expect(agent("qwen").launch({ env: HOME, instructions: "be kind" }).args.slice(1)).toEqual([
    "--acp",
    "--approval-mode",
    "default",
    "--append-system-prompt",
    "be kind",
  ]);
  expect(agent("qwen").authMethod?.({ OPENAI_API_KEY: "k" })).toBe("openai");
});

test("gemini gets instructions in a preamble, and cannot read files through ACP", () => {
  const { instructions, clientFiles, authMethod } = agent("gemini");
  expect({ instructions, clientFiles }).toEqual({ instructions: "preamble", clientFiles: false });
  expect(authMethod?.({ GEMINI_API_KEY: "k" })).toBe("gemini-api-key");
  expect(authMethod?.({ GOOGLE_API_KEY: "k" })).toBe("vertex-ai");
  expect(authMethod?.({})).toBeUndefined();
});

test.each(["claude", "codex", "opencode", "gemini", "qwen", "pi"])(
  "the user's variables override the variables of %s",
  (name) => {
    const { env } = agent(name).launch({ env: HOME, instructions: undefined });
    const own = Object.fromEntries(Object.keys(env).map((variable) => [variable, "mine"]));
    expect(agent(name).launch({ env: own, instructions: undefined }).env).toEqual(own);
  },
);
