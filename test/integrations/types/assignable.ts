import type { HarnessV1SandboxProvider } from "@ai-sdk/harness";
import type { Experimental_SandboxSession, ToolSet } from "@ai-sdk/provider-utils";
import { defineProvider } from "@computesdk/provider";
import { tool } from "@langchain/core/tools";
import * as mastra from "@mastra/core/workspace";
import { applyDiff } from "@openai/agents-core";
import * as sandbox from "@openai/agents-core/sandbox";
import type { Sandbox } from "bash-tool";
import type { SandboxBackendProtocolV2 } from "deepagents";
import { defineSandboxProvider, type SandboxProvider } from "eve/sandbox/provider";
import { createAgent } from "langchain";
import {
  bashToolSandbox,
  type EveEnvironmentOptions,
  type EveOpenOptions,
  type EveSandbox,
  eveProvider,
  harnessSandbox,
  sandboxSession,
  tools,
} from "../../../src/adapters/ai-sdk/index.ts";
import { computeProvider } from "../../../src/adapters/computesdk/index.ts";
import { deepAgentsBackend } from "../../../src/adapters/deepagents/index.ts";
import { langchainTools } from "../../../src/adapters/langchain/index.ts";
import { mastraFilesystem, mastraSandbox } from "../../../src/adapters/mastra/index.ts";
import { openAiSandbox } from "../../../src/adapters/openai-agents/index.ts";
import type { VmAccessor, VmHandle } from "../../../src/client/index.ts";

declare const vm: VmHandle;
declare const vms: VmAccessor;

/** Each adapter's object is an object of its framework's interface. */
export const session: Experimental_SandboxSession = sandboxSession(vm);
export const provider: HarnessV1SandboxProvider = harnessSandbox(vms);
export const set: ToolSet = tools(vm);
export const bash: Sandbox = bashToolSandbox(vm);
export const backend: SandboxBackendProtocolV2 = deepAgentsBackend(vm);
export const compute = defineProvider(computeProvider(vms));
export const agent = createAgent({ model: "none", tools: langchainTools(tool, vm) });
export const openai: sandbox.SandboxClient = openAiSandbox(vms, { ...sandbox, applyDiff });
export const eve: SandboxProvider<EveEnvironmentOptions, EveOpenOptions, EveSandbox> = defineSandboxProvider(
  eveProvider(vms),
);
export const mastraBox: mastra.WorkspaceSandbox = mastraSandbox(vm, mastra);
export const mastraFiles: mastra.WorkspaceFilesystem = mastraFilesystem(vm, mastra);
export const workspace = new mastra.Workspace({ sandbox: mastraBox, filesystem: mastraFiles });
