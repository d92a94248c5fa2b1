/**
 * VMs for the AI SDK: `ai` 7, `@ai-sdk/harness` 1 and `bash-tool` 1. Loads none of them.
 *
 * @module
 */
export type { AdapterVm } from "../shared/workplace.ts";
export type { ToolAnswer } from "../toolbox/tool.ts";
export type { ToolName } from "../toolbox/toolbox.ts";
export { type BashToolSandbox, bashToolSandbox } from "./bash-tool.ts";
export { type HarnessSandboxOptions, harnessSandbox } from "./harness.ts";
export type * from "./harness-types.ts";
export { type SandboxSessionOptions, sandboxSession } from "./session.ts";
export type * from "./session-types.ts";
export {
  type AgentVmTool,
  type ApprovalRule,
  type ModelText,
  type ToolInput,
  type ToolSchema,
  type ToolsOptions,
  tools,
} from "./tools.ts";
