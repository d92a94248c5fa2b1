import { z } from "zod";
import { MAX_TIMEOUT_MS } from "../../api/limits.ts";
import { HOST_FUNCTION_TIMEOUT_MS } from "./limits.ts";
import type { HostBinding, HostFunction, HostFunctions } from "./types.ts";

const description = z.string().max(4096).optional();

const isSchema = (value: unknown): boolean => value instanceof Object && "_zod" in value;

const functionSchema = z.strictObject({
  description,
  inputSchema: z.custom<z.ZodType>(isSchema, "must be a schema of zod 4"),
  execute: z.custom<HostFunction["execute"]>((value) => typeof value === "function", "must be a function"),
  examples: z
    .array(z.strictObject({ description, input: z.unknown() }))
    .max(16)
    .default([]),
  timeout: z.int().positive().max(MAX_TIMEOUT_MS).default(HOST_FUNCTION_TIMEOUT_MS),
});

const groupSchema = z.record(z.string(), functionSchema);

/** Schema of the option `hostFunctions`. */
export const hostFunctionsSchema = z.custom<HostFunctions>().pipe(z.record(z.string(), groupSchema));

/** Schema of the option `bindings`. */
export const bindingsSchema = z
  .custom<readonly HostBinding[]>()
  .pipe(z.array(z.strictObject({ name: z.string(), description, bindings: groupSchema })));

/** A host function with its defaults. */
export type FunctionOption = z.output<typeof functionSchema>;

/** The options of host functions, with defaults. */
export interface HostFunctionOptions {
  hostFunctions: z.output<typeof hostFunctionsSchema>;
  bindings: z.output<typeof bindingsSchema>;
}
