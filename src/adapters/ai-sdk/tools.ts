import type { z } from "zod";
import { shortened } from "../shared/text.ts";
import { type AdapterVm, Workplace } from "../shared/workplace.ts";
import {
  DEFAULT_OUTPUT_LIMIT,
  DEFAULT_YIELD_MS,
  type ToolAnswer,
  type ToolContext,
} from "../toolbox/tool.ts";
import { TOOL_NAMES, type TOOLS, type ToolName, toolOf } from "../toolbox/toolbox.ts";
import { updatesOf } from "./updates.ts";

/** Input of a tool. @internal */
export type ToolInput<Name extends ToolName> = z.infer<(typeof TOOLS)[Name]["input"]>;

/** Schema of the input of a tool. @internal */
export type ToolSchema<Name extends ToolName> = z.ZodType<ToolInput<Name>>;

/** Answer of a tool as the model gets it. */
export interface ModelText {
  /** Always `"text"`. */
  type: "text";
  /** Text of the answer. */
  value: string;
}

/** Decides whether a call needs a person's approval. */
export type ApprovalRule = (call: { tool: ToolName; input: unknown }) => boolean | Promise<boolean>;

/** Options of `tools`. */
export interface ToolsOptions<Name extends ToolName = ToolName> {
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** Names of the tools. @default all */
  only?: readonly Name[];
  /**
   * Calls that need approval before they run: `"none"`, `"writes"` (every tool that changes something), `"commands"` (tools that run
   * programs, open URLs or replace all files), or a function. @default "none"
   */
  approve?: "none" | "writes" | "commands" | ApprovalRule;
  /** Characters of one answer, of which the middle is left out. @default 30_000 */
  outputLimit?: number;
  /** Milliseconds after which `exec` answers while its command goes on. @default 30_000 */
  yieldAfterMs?: number;
}

/** A tool as `generateText` and `streamText` of `ai` 7 take it. */
export interface AgentVmTool<Name extends ToolName> {
  /** Description for the model. */
  description: string;
  /** Schema of the input. */
  inputSchema: ToolSchema<Name>;
  /** Whether a call needs approval before it runs. */
  needsApproval: (input: ToolInput<Name>) => Promise<boolean>;
  /** Runs the tool. The tools that run commands yield their output so far, and the whole answer at the end. */
  execute: (input: ToolInput<Name>, options: { abortSignal?: AbortSignal }) => AsyncIterable<ToolAnswer>;
  /** Gives the model the text of the answer. */
  toModelOutput: (result: { output: ToolAnswer }) => ModelText;
}

/**
 * Makes tools of a VM for the AI SDK (`ai` 7): commands, files, search, processes, previews and snapshots.
 *
 * @param vm handle or connection of `createClient()`
 * @param options base directory, names, approvals and limits
 * @example
 * ```ts
 * const { text } = await generateText({ model, tools: tools(vm, { approve: "commands" }), stopWhen: stepCountIs(20), prompt });
 * ```
 */
export function tools<Name extends ToolName = ToolName>(
  vm: AdapterVm,
  options: ToolsOptions<Name> = {},
): { [Each in Name]: AgentVmTool<Each> } {
  const { only = TOOL_NAMES, outputLimit = DEFAULT_OUTPUT_LIMIT, yieldAfterMs = DEFAULT_YIELD_MS } = options;
  const place = new Workplace(vm, options.workingDirectory);
  const context = { vm, place, outputLimit, yieldAfterMs };
  return Object.fromEntries(
    only.map((name) => [name, toolFor(name, context, options.approve ?? "none")]),
  ) as never;
}

function toolFor(
  name: ToolName,
  context: ToolContext,
  approve: NonNullable<ToolsOptions["approve"]>,
): AgentVmTool<ToolName> {
  const tool = toolOf(name);
  const { description, input: inputSchema, effect } = tool;
  return {
    description,
    inputSchema: inputSchema as never,
    async needsApproval(input) {
      if (typeof approve === "function") return await approve({ tool: name, input });
      return approve === "writes" ? effect !== "read" : approve === "commands" && effect === "execute";
    },
    execute: (input, { abortSignal: signal } = {}) =>
      updatesOf((onUpdate) =>
        tool.run(input, {
          ...context,
          signal,
          onOutput: (output) => onUpdate({ text: output, running: true, output }),
        }),
      ),
    toModelOutput: ({ output }) => ({ type: "text", value: shortened(output.text, 2 * context.outputLimit) }),
  };
}
