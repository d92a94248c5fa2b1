import { VM_NODE } from "../../sandbox/vm-layout.ts";
import type { AgentDefinition } from "./agent.ts";

const PACKAGE = "@google/gemini-cli";

/** Google's Gemini CLI. */
export const gemini: AgentDefinition = {
  name: "gemini",
  title: "Gemini CLI",
  packages: [{ name: PACKAGE, version: "0.61.0" }],
  instructions: "preamble",
  // Gemini CLI treats every ACP error as a disk failure, even the error for a file that does not exist yet.
  clientFiles: false,
  launch: (installation, { env }) => ({
    command: VM_NODE,
    args: [installation.program(PACKAGE, "gemini"), "--experimental-acp"],
    // Without NO_RELAUNCH the CLI starts itself again for a larger heap, and the second process outlives the first.
    env: { GEMINI_CLI_TRUST_WORKSPACE: "true", GEMINI_CLI_NO_RELAUNCH: "true", ...env },
    files: [],
  }),
  authMethod(env) {
    if (env.GEMINI_API_KEY) return "gemini-api-key";
    return env.GOOGLE_API_KEY || env.GOOGLE_GENAI_USE_VERTEXAI ? "vertex-ai" : undefined;
  },
};
