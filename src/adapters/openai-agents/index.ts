/**
 * VMs for the sandbox agents of the OpenAI Agents SDK: `@openai/agents` and `@openai/agents-core` 0.20. Loads none of them.
 *
 * @module
 */
export {
  type CreateArgs,
  type ManifestClass,
  type OpenAiSandboxOptions,
  openAiSandbox,
  type SandboxParts,
  VmSandboxClient,
} from "./client.ts";
export type * from "./sandbox-types.ts";
export { VmSandboxSession } from "./session.ts";
