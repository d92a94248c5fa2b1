import type { AgentCapabilities, McpServer } from "@agentclientprotocol/sdk";
import { AgentVmError } from "../../../api/errors.ts";
import type { McpServerConfig } from "../../../api/methods/session-types.ts";
import type { AgentTraits } from "../agents/agent.ts";

/** @throws AgentVmError `agent_failed` if there are MCP servers but the agent ignores them */
export function refuseIgnored({ name, mcpServers = true }: AgentTraits, configs: readonly McpServerConfig[]) {
  if (mcpServers || configs.length === 0) return;
  throw new AgentVmError("agent_failed", `Agent ${name} cannot use MCP servers`, {
    agentType: name,
    hint: "Leave `mcpServers` out, or choose another agent.",
  });
}

/**
 * Converts MCP servers to the protocol's form.
 *
 * @throws AgentVmError `agent_failed` if a server needs HTTP and the agent does not support it
 */
export function toMcpServers(
  agentType: string,
  configs: readonly McpServerConfig[],
  capabilities: AgentCapabilities,
): McpServer[] {
  return configs.map((config, index) => {
    const name = config.name ?? `mcp-${index + 1}`;
    if ("command" in config) {
      const { command, args = [], env = {} } = config;
      return { name, command, args, env: pairs(env) };
    }
    if (!capabilities.mcpCapabilities?.http) {
      throw new AgentVmError(
        "agent_failed",
        `Agent ${agentType} cannot use MCP server ${name}: the agent does not support HTTP`,
        { server: name, hint: "Use a local server, { command, args? }." },
      );
    }
    return { type: "http", name, url: config.url, headers: pairs(config.headers ?? {}) };
  });
}

function pairs(values: Readonly<Record<string, string>>): { name: string; value: string }[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
