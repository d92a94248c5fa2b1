import { VM_NODE } from "../../sandbox/sandbox.ts";
import type { AgentDefinition } from "./agent.ts";

const PACKAGE = "@google/gemini-cli";

/** Google's Gemini CLI. */
export const gemini: AgentDefinition = {
  name: "gemini",
  title: "Gemini CLI",
  packages: [{ name: PACKAGE, version: "0.61.0" }],
  instructions: "preamble",
  // It takes any error of its client's for a failure of the disk, also that a file is not there yet.
  clientFiles: false,
  launch: (installation, { env }) => ({
    command: VM_NODE,
    args: [installation.program(PACKAGE, "gemini"), "--experimental-acp"],
    // It would start itself a second time, for a larger heap, and not end with the first.
    env: { GEMINI_CLI_TRUST_WORKSPACE: "true", GEMINI_CLI_NO_RELAUNCH: "true", ...env },
    files: [],
  }),
  authMethod(env) {
    if (env.GEMINI_API_KEY) return "gemini-api-key";
    return env.GOOGLE_API_KEY || env.GOOGLE_GENAI_USE_VERTEXAI ? "vertex-ai" : undefined;
  },
};
