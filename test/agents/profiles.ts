import type { Env } from "../../src/api/types.ts";
import { MODEL } from "../support/model-server.ts";

/** What one agent takes to talk to the scripted model, and what of a session it can do. */
export interface Profile {
  /** @param model the model server's address as the VM knows it */
  env(model: string): Env;
  /** Configuration for which it has no variables. */
  files?(model: string): Record<string, string>;
  /** Whether it asks before it writes or runs anything. */
  asks: boolean;
  /** A mode that it does not start in. */
  mode?: string;
  /** A model that it does not start with. */
  model?: string;
  /** A thought level that `model` does not start with. */
  thoughtLevel?: string;
  /** Whether it knows MCP servers. */
  mcp: boolean;
}

const openCodeConfig = (model: string) => ({
  model: `scripted/${MODEL}`,
  provider: {
    scripted: {
      npm: "@ai-sdk/openai-compatible",
      options: { baseURL: `${model}/v1`, apiKey: "key" },
      models: { [MODEL]: {}, other: {} },
    },
  },
});

const codexConfig = (model: string) => ({
  model: MODEL,
  model_providers: {
    scripted: {
      name: "scripted",
      base_url: `${model}/v1`,
      wire_api: "responses",
      env_key: "SCRIPTED_KEY",
    },
  },
});

const piModels = (model: string) => ({
  providers: {
    scripted: {
      baseUrl: `${model}/v1`,
      api: "openai-completions",
      apiKey: "key",
      models: [
        { id: MODEL, reasoning: true },
        { id: "other", reasoning: true },
      ],
    },
  },
});

export const PROFILES: Record<string, Profile> = {
  claude: {
    env: (model) => ({ ANTHROPIC_BASE_URL: model, ANTHROPIC_API_KEY: "key" }),
    asks: true,
    mode: "plan",
    model: "sonnet",
    thoughtLevel: "low",
    mcp: true,
  },
  codex: {
    env: (model) => ({
      MODEL_PROVIDER: "scripted",
      SCRIPTED_KEY: "key",
      CODEX_CONFIG: JSON.stringify(codexConfig(model)),
    }),
    asks: true,
    mode: "read-only",
    model: "gpt-6-astra",
    thoughtLevel: "low",
    mcp: true,
  },
  opencode: {
    env: (model) => ({ OPENCODE_CONFIG_CONTENT: JSON.stringify(openCodeConfig(model)) }),
    asks: true,
    mode: "plan",
    model: "scripted/other",
    mcp: true,
  },
  gemini: {
    env: (model) => ({ GOOGLE_GEMINI_BASE_URL: model, GEMINI_API_KEY: "key" }),
    asks: true,
    mode: "plan",
    model: "gemini-2.5-pro",
    mcp: true,
  },
  qwen: {
    env: (model) => ({ OPENAI_BASE_URL: `${model}/v1`, OPENAI_API_KEY: "key", OPENAI_MODEL: MODEL }),
    asks: true,
    mode: "plan",
    mcp: true,
  },
  pi: {
    env: () => ({}),
    files: (model) => ({
      "/home/agentos/.pi/agent/models.json": JSON.stringify(piModels(model)),
      "/home/agentos/.pi/agent/settings.json": JSON.stringify({
        defaultProvider: "scripted",
        defaultModel: MODEL,
        quietStartup: true,
      }),
    }),
    asks: false,
    mode: "low",
    model: "scripted/other",
    thoughtLevel: "low",
    mcp: false,
  },
};
