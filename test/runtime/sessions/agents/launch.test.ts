import { expect, test } from "vitest";
import { vmOptionsSchema } from "../../../../src/runtime/options.ts";
import { agentsOf } from "../../../../src/runtime/sessions/agents/index.ts";
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
  return agentsOf(vmOptionsSchema.parse({ agents: { [name]: { from } } })).find(name);
}

const HOME = { HOME: "/home/agentos" };

test("claude takes instructions with the session", () => {
  expect(agent("claude").sessionMeta?.("be kind")).toEqual({ systemPrompt: { append: "be kind" } });
});

test("codex takes instructions behind those of the user's own configuration", () => {
  const env = { ...HOME, CODEX_CONFIG: '{"model":"m","developer_instructions":"be brief"}' };
  expect(JSON.parse(agent("codex").launch({ env, instructions: "be kind" }).env.CODEX_CONFIG ?? "")).toEqual({
    model: "m",
    developer_instructions: "be brief\n\nbe kind",
  });
});

test("a configuration that is not JSON is left to the agent", () => {
  const env = { ...HOME, CODEX_CONFIG: "{" };
  expect(agent("codex").launch({ env, instructions: "be kind" }).env.CODEX_CONFIG).toBe("{");
});

test("codex finds a profile without a sandbox of its own, in its own folder", () => {
  const paths = (env: Record<string, string>) =>
    agent("codex")
      .launch({ env, instructions: undefined })
      .files.map(({ path }) => path);
  expect(paths(HOME)).toEqual(["/home/agentos/.codex/config.toml"]);
  expect(paths({ ...HOME, CODEX_HOME: "/srv/codex" })).toEqual(["/srv/codex/config.toml"]);
});

test("codex asks for its API key, unless a provider brings its own", () => {
  const { authMethod } = agent("codex");
  expect(authMethod?.({ OPENAI_API_KEY: "k" })).toBe("api-key");
  expect(authMethod?.({ OPENAI_API_KEY: "k", MODEL_PROVIDER: "mine" })).toBeUndefined();
  expect(authMethod?.({})).toBeUndefined();
});

test("opencode takes instructions as a file, behind those of the user", () => {
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

test("sessions with other instructions have other files", () => {
  const files = (instructions: string) =>
    agent("opencode")
      .launch({ env: HOME, instructions })
      .files.map(({ path }) => path);
  expect(files("be kind")).toEqual(files("be kind"));
  expect(files("be kind")).not.toEqual(files("be brief"));
});

test("pi is started by a script that adds its instructions", () => {
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

test("qwen takes instructions as an argument, and asks its user", () => {
  expect(agent("qwen").launch({ env: HOME, instructions: "be kind" }).args.slice(1)).toEqual([
    "--acp",
    "--approval-mode",
    "default",
    "--append-system-prompt",
    "be kind",
  ]);
  expect(agent("qwen").authMethod?.({ OPENAI_API_KEY: "k" })).toBe("openai");
});

test("gemini knows no way, and is not offered its client's files", () => {
  const { instructions, clientFiles, authMethod } = agent("gemini");
  expect({ instructions, clientFiles }).toEqual({ instructions: "preamble", clientFiles: false });
  expect(authMethod?.({ GEMINI_API_KEY: "k" })).toBe("gemini-api-key");
  expect(authMethod?.({ GOOGLE_API_KEY: "k" })).toBe("vertex-ai");
  expect(authMethod?.({})).toBeUndefined();
});

test.each(["claude", "codex", "opencode", "gemini", "qwen", "pi"])(
  "the user's variables win over those of %s",
  (name) => {
    const { env } = agent(name).launch({ env: HOME, instructions: undefined });
    const own = Object.fromEntries(Object.keys(env).map((variable) => [variable, "mine"]));
    expect(agent(name).launch({ env: own, instructions: undefined }).env).toEqual(own);
  },
);
