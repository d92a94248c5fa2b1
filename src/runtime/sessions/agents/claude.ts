import { VM_NODE } from "../../sandbox/vm-layout.ts";
import type { AgentDefinition } from "./agent.ts";

const ADAPTER = "@agentclientprotocol/claude-agent-acp";

/** Claude Code. */
export const claude: AgentDefinition = {
  name: "claude",
  title: "Claude Code",
  packages: [{ name: ADAPTER, version: "0.100.0" }],
  instructions: "native",
  launch: (installation, { env }) => ({
    command: VM_NODE,
    args: [installation.program(ADAPTER, "claude-agent-acp")],
    // Updates would fail on the read-only mount, and telemetry would need hosts that the VM's policy may not allow.
    env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", ...env },
    files: [],
  }),
  sessionMeta: (instructions) => ({ systemPrompt: { append: instructions } }),
};
