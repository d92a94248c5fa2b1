/**
 * Tools of a VM for LangChain (`@langchain/core` 1). Loads nothing of it.
 *
 * @module
 */
import type { z } from "zod";
import { type AdapterVm, Workplace } from "../shared/workplace.ts";
import { DEFAULT_OUTPUT_LIMIT, DEFAULT_YIELD_MS } from "../toolbox/tool.ts";
import { TOOL_NAMES, type ToolName, toolOf } from "../toolbox/toolbox.ts";

export type { AdapterVm } from "../shared/workplace.ts";
export type { ToolName } from "../toolbox/toolbox.ts";

/** Options of `langchainTools`. */
export interface LangchainToolsOptions {
  /** Base directory of relative paths and of commands. It is made if it is missing. @default "/home/agentos" */
  workingDirectory?: string;
  /** Names of the tools. @default all */
  only?: readonly ToolName[];
  /** Characters of one answer, of which the middle is left out. @default 30_000 */
  outputLimit?: number;
  /** Milliseconds after which `exec` answers while its command goes on. @default 30_000 */
  yieldAfterMs?: number;
}

/** The function `tool` of `@langchain/core/tools`, with the arguments of this adapter. */
export type MakeTool<Tool> = (
  run: (input: unknown, config?: { signal?: AbortSignal }) => Promise<string>,
  fields: { name: string; description: string; schema: z.ZodObject },
) => Tool;

/**
 * Makes tools of a VM for LangChain: commands, files, search, processes, previews and snapshots.
 *
 * @param tool the function `tool` of `@langchain/core/tools`
 * @param vm handle or connection of `createClient()`
 * @param options base directory, names and limits
 * @example
 * ```ts
 * const agent = createAgent({ model, tools: langchainTools(tool, client.vm.getOrCreate("my-agent")) });
 * ```
 */
export function langchainTools<Tool>(
  tool: MakeTool<Tool>,
  vm: AdapterVm,
  options: LangchainToolsOptions = {},
): Tool[] {
  const { only = TOOL_NAMES, outputLimit = DEFAULT_OUTPUT_LIMIT, yieldAfterMs = DEFAULT_YIELD_MS } = options;
  const context = { vm, place: new Workplace(vm, options.workingDirectory), outputLimit, yieldAfterMs };
  return only.map((name) => {
    const { description, input, run } = toolOf(name);
    return tool(
      async (given, config) => (await run(given as object, { ...context, signal: config?.signal })).text,
      { name, description, schema: input },
    );
  });
}
