import { join } from "node:path";
import { VM_NODE } from "../../sandbox/vm-layout.ts";
import type { AgentDefinition } from "./agent.ts";
import { homeOf } from "./instructions-file.ts";
import { withJson } from "./json-variable.ts";

const ADAPTER = "@agentclientprotocol/codex-acp";

/**
 * Codex puts each command into new namespaces, which a VM does not allow (`bwrap: Creating new namespace failed`). The
 * VM is the sandbox, so this profile runs commands without namespaces. Codex still asks for permission if its model
 * wants to.
 */
const CONFIG = `default_permissions = "vm"
approval_policy = "on-request"

[permissions.vm]
description = "The whole VM, which is the sandbox"

[permissions.vm.filesystem]
":root" = "write"

[permissions.vm.network]
enabled = true
`;

/** OpenAI's Codex. */
export const codex: AgentDefinition = {
  name: "codex",
  title: "Codex",
  packages: [{ name: ADAPTER, version: "2.6.0" }],
  instructions: "native",
  launch: (installation, { env, instructions }) => ({
    command: VM_NODE,
    args: [installation.program(ADAPTER, "codex-acp")],
    env: {
      NO_BROWSER: "1",
      ...env,
      ...(instructions !== undefined && {
        CODEX_CONFIG: withJson(env.CODEX_CONFIG, (present) => ({
          developer_instructions: [present.developer_instructions, instructions].filter(Boolean).join("\n\n"),
        })),
      }),
    },
    files: [{ path: join(env.CODEX_HOME || join(homeOf(env), ".codex"), "config.toml"), content: CONFIG }],
  }),
  // A custom provider has its own key.
  authMethod: (env) =>
    (env.CODEX_API_KEY || env.OPENAI_API_KEY) && !env.MODEL_PROVIDER && !env.DEFAULT_AUTH_REQUEST
      ? "api-key"
      : undefined,
};
