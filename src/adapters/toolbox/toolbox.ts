import { FILE_TOOLS } from "./files.ts";
import { NETWORK_TOOLS } from "./network.ts";
import { PROCESS_TOOLS } from "./processes.ts";
import { SNAPSHOT_TOOLS } from "./snapshots.ts";
import type { ToolDefinition } from "./tool.ts";

/** Every tool of a VM, by name. */
export const TOOLS = { ...PROCESS_TOOLS, ...FILE_TOOLS, ...NETWORK_TOOLS, ...SNAPSHOT_TOOLS };

/** Name of a tool. */
export type ToolName = keyof typeof TOOLS;

/** Names of all tools, in the order in which a model sees them. */
export const TOOL_NAMES = Object.keys(TOOLS) as ToolName[];

/** Returns a tool whose input is not known at development time. */
export function toolOf(name: ToolName): ToolDefinition<object> {
  return TOOLS[name] as unknown as ToolDefinition<object>;
}
