import type { Env } from "../../src/api/values.ts";
import { MODEL } from "../support/model-server.ts";

/** Configuration of one agent for the scripted model, and the features of sessions that the agent supports. */
export interface Profile {
  /** @param model URL of the model server inside the VM */
  env(model: string): Env;
  /** Configuration files by path, for settings that the agent does not read from variables. */
  files?(model: string): Record<string, string>;
  /** Whether the agent asks before it writes a file or runs a command. */
  asks: boolean;
  /** A mode other than the default one. */
  mode?: string;
  /** A model other than the default one. */
  model?: string;
  /** A thought level other than the default one of `model`. */
  thoughtLevel?: string;
  /** Whether the agent supports MCP servers. */
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
