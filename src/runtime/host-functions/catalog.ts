import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { type Flag, flagsOf, type JsonSchema } from "./flags.ts";
import { kebab } from "./kebab.ts";
import { MAX_FUNCTION_GROUPS, MAX_FUNCTION_NAME_LENGTH, MAX_GROUP_FUNCTIONS } from "./limits.ts";
import type { FunctionOption, HostFunctionOptions } from "./options.ts";

/** A host function, as programs of a VM see it. */
export interface CatalogFunction
  extends Pick<FunctionOption, "execute" | "inputSchema" | "examples" | "timeout"> {
  /** Name of its group, and its own. */
  group: string;
  name: string;
  description: string;
  /** Its input as JSON Schema. */
  jsonSchema: JsonSchema;
  flags: readonly Flag[];
}

/** Host functions that share a program. */
export interface CatalogGroup {
  name: string;
  /** Name of its program. */
  program: string;
  description: string;
  functions: ReadonlyMap<string, CatalogFunction>;
}

/** The program that lists host functions and serves MCP. */
export const MAIN_PROGRAM = "agentos";

const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** All host functions of the VMs of one definition. */
export class Catalog {
  /** Groups by their names. */
  readonly groups: ReadonlyMap<string, CatalogGroup>;

  /** @throws AgentVmError `invalid_argument` for a bad name, two functions of one name, or a schema without flags */
  constructor({ hostFunctions, bindings }: HostFunctionOptions) {
    const groups = new Map<string, CatalogGroup>();
    const add = (
      option: string,
      key: string,
      functions: Record<string, FunctionOption>,
      description = "",
    ) => {
      const name = nameOf(option, key);
      if (groups.has(name)) throw refusal(option, `two groups of host functions have the name ${name}`);
      const group = { name, program: `${MAIN_PROGRAM}-${name}`, description };
      groups.set(name, { ...group, functions: functionsOf(option, name, functions) });
    };
    for (const [key, functions] of Object.entries(hostFunctions)) add(`hostFunctions.${key}`, key, functions);
    bindings.forEach(({ name, bindings: functions, description }, index) => {
      add(`bindings.${index}`, name, functions, description);
    });
    if (groups.size > MAX_FUNCTION_GROUPS)
      throw refusal("hostFunctions", `at most ${MAX_FUNCTION_GROUPS} groups (MAX_FUNCTION_GROUPS)`);
    this.groups = groups;
  }

  get isEmpty(): boolean {
    return this.groups.size === 0;
  }

  /** Names of the programs that a VM needs. */
  get programs(): string[] {
    if (this.isEmpty) return [];
    return [MAIN_PROGRAM, ...[...this.groups.values()].map(({ program }) => program)];
  }

  /** All functions, group by group. */
  get functions(): CatalogFunction[] {
    return [...this.groups.values()].flatMap(({ functions }) => [...functions.values()]);
  }
}

function functionsOf(option: string, group: string, options: Record<string, FunctionOption>) {
  const functions = new Map<string, CatalogFunction>();
  for (const [key, definition] of Object.entries(options)) {
    const at = `${option}.${key}`;
    const name = nameOf(at, key);
    if (functions.has(name)) throw refusal(at, `two host functions of ${group} have the name ${name}`);
    const { inputSchema } = definition;
    const jsonSchema = jsonSchemaOf(at, inputSchema);
    let flags: readonly Flag[];
    try {
      flags = flagsOf(jsonSchema);
    } catch (error) {
      throw refusal(`${at}.inputSchema`, (error as Error).message);
    }
    const description = definition.description ?? inputSchema.description ?? "";
    functions.set(name, { ...definition, group, name, description, jsonSchema, flags });
  }
  if (functions.size > MAX_GROUP_FUNCTIONS)
    throw refusal(option, `at most ${MAX_GROUP_FUNCTIONS} functions (MAX_GROUP_FUNCTIONS)`);
  return functions;
}

function jsonSchemaOf(option: string, schema: z.ZodType): JsonSchema {
  let made: JsonSchema;
  try {
    made = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
  } catch (error) {
    throw refusal(`${option}.inputSchema`, `no JSON Schema can be made of it: ${(error as Error).message}`);
  }
  if (made.type !== "object")
    throw refusal(`${option}.inputSchema`, "must be an object, as z.object() makes");
  const { $schema: _, ...rest } = made;
  return rest;
}

function nameOf(option: string, key: string): string {
  const name = kebab(key);
  if (NAME.test(name) && name.length <= MAX_FUNCTION_NAME_LENGTH) return name;
  throw refusal(
    option,
    `must be named in camelCase or kebab-case, with at most ${MAX_FUNCTION_NAME_LENGTH} letters, digits and single dashes`,
  );
}

function refusal(option: string, message: string): AgentVmError {
  return new AgentVmError("invalid_argument", `Invalid option \`${option}\` of vmActor: ${message}`, {
    argument: option,
  });
}
