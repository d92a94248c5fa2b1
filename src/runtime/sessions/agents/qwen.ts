import { VM_NODE } from "../../sandbox/vm-layout.ts";
import type { AgentDefinition } from "./agent.ts";

const PACKAGE = "@qwen-code/qwen-code";

/** Qwen Code. */
export const qwen: AgentDefinition = {
  name: "qwen",
  title: "Qwen Code",
  packages: [{ name: PACKAGE, version: "0.24.4" }],
  instructions: "native",
  launch: (installation, { env, instructions }) => ({
    command: VM_NODE,
    args: [
      installation.program(PACKAGE, "qwen"),
      "--acp",
      // Without this option a model decides which actions need the user's permission.
      "--approval-mode",
      "default",
      ...(instructions === undefined ? [] : ["--append-system-prompt", instructions]),
    ],
    // Without NO_RELAUNCH the CLI starts itself again for a larger heap.
    env: { QWEN_CODE_NO_RELAUNCH: "true", ...env },
    files: [],
  }),
  authMethod: (env) => (env.OPENAI_API_KEY ? "openai" : undefined),
};
