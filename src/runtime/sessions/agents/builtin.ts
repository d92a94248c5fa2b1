import type { AgentDefinition } from "./agent.ts";
import { claude } from "./claude.ts";
import { codex } from "./codex.ts";
import { gemini } from "./gemini.ts";
import { opencode } from "./opencode.ts";
import { pi } from "./pi.ts";
import { qwen } from "./qwen.ts";

/** Agents that are known by name and need only be installed. */
export const BUILT_IN_AGENTS: readonly AgentDefinition[] = [claude, codex, opencode, gemini, qwen, pi];
