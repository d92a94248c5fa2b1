import type { z } from "zod";
import type { Guarded } from "../../api/rights.ts";
import type { AdapterVm, Workplace } from "../shared/workplace.ts";

/** VM and limits that a tool works with. */
export interface ToolContext {
  vm: AdapterVm;
  place: Workplace;
  /** Characters of one answer. */
  outputLimit: number;
  /** Milliseconds after which `exec` answers while its command goes on. */
  yieldAfterMs: number;
  /** Cancels the tool. */
  signal?: AbortSignal | undefined;
  /** Called with the output of a running command. */
  onOutput?: ((text: string) => void) | undefined;
}

/** Answer of a tool: text for the model, and facts for programs. */
export interface ToolAnswer {
  /** Text for the model. */
  text: string;
  /** Facts of the answer, as JSON. */
  [fact: string]: unknown;
}

/** Effect of a tool: sees, changes the VM in a way that `undo` or a snapshot takes back, or does anything. */
type ToolEffect = "read" | "write" | "execute";

/** A tool of a VM, for any framework. */
export interface ToolDefinition<Input extends object> {
  /** Name for people. */
  title: string;
  /** Description for the model. */
  description: string;
  input: z.ZodObject & z.ZodType<Input>;
  effect: ToolEffect;
  /** Whether a second call with the same arguments changes nothing more. */
  idempotent?: true;
  /** Rights of a token that the tool needs. */
  needs: readonly Guarded[];
  run(input: Input, context: ToolContext): Promise<ToolAnswer>;
}

/** Declares a tool with the type of its input. */
export function defineTool<Schema extends z.ZodObject>(
  tool: Omit<ToolDefinition<z.infer<Schema>>, "input"> & { input: Schema },
): ToolDefinition<z.infer<Schema>> & { input: Schema } {
  return tool as never;
}

/** Characters of one answer. A model's context holds several answers. */
export const DEFAULT_OUTPUT_LIMIT = 30_000;

/** Milliseconds after which `exec` answers. Clients of models wait about a minute. */
export const DEFAULT_YIELD_MS = 30_000;
