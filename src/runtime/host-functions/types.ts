import type { z } from "zod";
import type { NamesIn, VmMethods } from "../../api/methods/table.ts";

/** The VM that calls a host function: its methods and its identity. */
export interface HostVm extends Omit<VmMethods, NamesIn<"actor">> {
  /** Id of the VM's actor; `""` for a VM of `createVm`. */
  readonly actorId: string;
  /** Key of the VM; empty for a VM of `createVm`. */
  readonly key: readonly string[];
}

/** Surroundings of one call of a host function. */
export interface HostFunctionContext {
  /** The VM whose program calls. The server knows it by the socket; a program cannot name another VM. */
  readonly vm: HostVm;
  /**
   * Id of the session whose agent calls; `undefined` for any other program. A program of the same VM can claim to belong to
   * another session of this VM.
   */
  readonly session: string | undefined;
  /** Aborts when the calling program ends, at the timeout, and when the VM goes down. */
  readonly signal: AbortSignal;
  /** Stdin of the program, read piece by piece as the function asks for it. Empty for a call over MCP. */
  readonly stdin: AsyncIterable<Uint8Array>;
  /**
   * Reports progress: a line on the program's stderr, or a progress notification of MCP. Resolves when the program has room
   * for more.
   */
  progress(message: string): Promise<void>;
}

/** A call of a host function as an example. */
export interface HostFunctionExample<Input = unknown> {
  /** Purpose of the example. */
  description?: string | undefined;
  /** Input of the example. */
  input: Input;
}

/** A function of the server that programs of a VM call. */
export interface HostFunction<Schema extends z.ZodType = z.ZodType> {
  /** Purpose of the function, for `--help` and for agents. @default the description of `inputSchema` */
  description?: string | undefined;
  /** Schema of the input: an object of zod 4. Its fields are the program's flags, and their descriptions its help. */
  inputSchema: Schema;
  /**
   * Runs in the server. Its result is sent to the program as JSON. An error's message goes to the program's stderr.
   *
   * @param input what `inputSchema` made of the program's flags
   */
  execute(input: z.output<Schema>, context: HostFunctionContext): unknown;
  /** Examples for `--help`. At most 16. @default [] */
  examples?: readonly HostFunctionExample<z.input<Schema>>[] | undefined;
  /** Milliseconds after which the call fails. @default 30,000 */
  timeout?: number | undefined;
}

/** Host functions by group and name. Names are in camelCase or kebab-case: `listOrders` becomes `list-orders`. */
export type HostFunctions = Record<string, Record<string, HostFunction>>;

/** A group of host functions in the array form of agentOS. */
export interface HostBinding {
  /** Name of the group. Its program is `agentos-NAME`. */
  name: string;
  /** Purpose of the group. */
  description?: string | undefined;
  /** The functions of the group, by name. */
  bindings: Record<string, HostFunction>;
}

/**
 * Returns a host function as it is. TypeScript then knows the type of its input from its schema.
 *
 * @example
 * ```ts
 * const forecast = hostFunction({
 *   inputSchema: z.object({ city: z.string().describe("Name of the city") }).describe("Tells the weather"),
 *   execute: ({ city }) => `Sunny in ${city}`,
 * });
 * vmActor({ hostFunctions: { weather: { forecast } } });
 * ```
 */
export function hostFunction<Schema extends z.ZodType>(
  definition: HostFunction<Schema>,
): HostFunction<Schema> {
  return definition;
}
