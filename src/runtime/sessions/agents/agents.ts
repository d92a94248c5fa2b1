import type { AgentType } from "../../../api/types.ts";
import type { Agent } from "./agent.ts";

/** The agents that a VM can start. */
export interface Agents {
  /** @throws AgentVmError `unknown_agent_type`; `agent_not_installed` */
  find(agentType: string): Agent;
  list(): AgentType[];
}
