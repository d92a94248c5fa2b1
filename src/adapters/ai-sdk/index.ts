/**
 * VMs for the AI SDK: `ai` 7, `@ai-sdk/harness` 1, `bash-tool` 1 and `eve` 0.80. Loads none of them.
 *
 * @module
 */
export type { AdapterVm } from "../shared/workplace.ts";
export type { ToolAnswer } from "../toolbox/tool.ts";
export type { ToolName } from "../toolbox/toolbox.ts";
export { type BashToolSandbox, bashToolSandbox } from "./bash-tool.ts";
export {
  type EveEnvironmentOptions,
  type EveOpenOptions,
  type EveProviderOptions,
  eveProvider,
} from "./eve.ts";
export type * from "./eve-types.ts";
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
