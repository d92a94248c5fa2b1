import type { AgentDefinition } from "./agent.ts";
import { claude } from "./claude.ts";
import { codex } from "./codex.ts";
import { gemini } from "./gemini.ts";
import { opencode } from "./opencode.ts";
import { pi } from "./pi.ts";
import { qwen } from "./qwen.ts";

/** Built-in agents, which only need their npm packages. */
export const BUILT_IN_AGENTS: readonly AgentDefinition[] = [claude, codex, opencode, gemini, qwen, pi];
