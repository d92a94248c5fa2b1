import { kebab } from "./kebab.ts";

/** The parts of JSON Schema that flags are made of. */
export interface JsonSchema {
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  [keyword: string]: unknown;
}

/** A flag of a program, and the property of the input that it sets. */
export interface Flag {
  /** Name without dashes. */
  name: string;
  property: string;
  /** `any`: JSON, or else text. */
  kind: "string" | "number" | "boolean" | "any";
  /** Allowed values. */
  choices?: readonly (string | number)[];
  /** `true`: the flag may be repeated. */
  isArray: boolean;
  isRequired: boolean;
  description: string;
  /** Default value as JSON. */
  default?: string;
}

/** A program was called in a wrong way. The message is for its user. */
export class UsageError extends Error {}

/** Names that every host function has. */
const RESERVED = ["help", "json", "json-file"];

const FLAG_NAME = /^[a-z0-9][a-z0-9._-]*$/;

/**
 * Derives flags from the schema of an input.
 *
 * @throws Error for a property that cannot be a flag, and for two properties with one flag
 */
export function flagsOf({ properties = {}, required = [] }: JsonSchema): Flag[] {
  const flags = Object.entries(properties).map(([property, schema]): Flag => {
    const name = kebab(property);
    if (!FLAG_NAME.test(name)) throw new Error(`the property ${JSON.stringify(property)} cannot be a flag`);
    const whole = withoutNull(schema);
    const isArray = whole.type === "array" && isScalar(withoutNull(whole.items ?? {}));
    const { kind, choices } = kindOf(isArray ? withoutNull(whole.items ?? {}) : whole);
    return {
      name,
      property,
      kind,
      ...(choices && { choices }),
      isArray,
      isRequired: required.includes(property),
      description: schema.description ?? whole.description ?? "",
      ...(schema.default !== undefined && { default: JSON.stringify(schema.default) }),
    };
  });
  const taken = new Set(RESERVED);
  for (const flag of flags) {
    for (const name of spellings(flag)) {
      if (taken.has(name)) throw new Error(`the flag --${name} of ${JSON.stringify(flag.property)} is taken`);
      taken.add(name);
    }
  }
  return flags;
}

function spellings({ name, kind }: Flag): string[] {
  return kind === "boolean" ? [name, `no-${name}`] : [name];
}

/** The schema of a nullable value, without null. */
function withoutNull(schema: JsonSchema): JsonSchema {
  if (Array.isArray(schema.type)) {
    const [type, ...others] = schema.type.filter((name) => name !== "null");
    const { type: _, ...rest } = schema;
    return type !== undefined && others.length === 0 ? { ...rest, type } : rest;
  }
  const [only, ...others] = schema.anyOf?.filter(({ type }) => type !== "null") ?? [];
  return only !== undefined && others.length === 0 ? only : schema;
}

function isScalar(schema: JsonSchema): boolean {
  const { kind } = kindOf(schema);
  return kind === "string" || kind === "number";
}

function kindOf(schema: JsonSchema): Pick<Flag, "kind" | "choices"> {
  const values = schema.const === undefined ? schema.enum : [schema.const];
  if (values?.every((value) => typeof value === "string")) return { kind: "string", choices: values };
  if (values?.every((value) => typeof value === "number")) return { kind: "number", choices: values };
  switch (schema.type) {
    case "string":
    case "boolean":
      return { kind: schema.type };
    case "number":
    case "integer":
      return { kind: "number" };
    default:
      return { kind: "any" };
  }
}

/** Meaning of the arguments of a host function. */
export type Request =
  | { kind: "help" }
  /** Input as JSON. */
  | { kind: "json"; text: string }
  /** Input as JSON in a file of the VM; `-` is stdin. */
  | { kind: "file"; path: string }
  | { kind: "flags"; input: Record<string, unknown> };

/**
 * Reads the arguments of a host function.
 *
 * @throws UsageError for unknown, repeated and missing flags, and for values of a wrong kind
 */
export function parseArguments(flags: readonly Flag[], args: readonly string[]): Request {
  const given = new Map<string, unknown>();
  let whole: Request | undefined;
  const rest = args[Symbol.iterator]();
  for (const argument of rest) {
    if (argument === "-h" || argument === "--help") return { kind: "help" };
    const { name, value } = split(argument);
    const take = () => value ?? followingValue(name, rest);
    if (name === "json" || name === "json-file") {
      if (whole !== undefined) throw givenTwice();
      whole = name === "json" ? { kind: "json", text: take() } : { kind: "file", path: take() };
    } else setFlag(flags, given, { name, value, take });
  }
  if (whole !== undefined) {
    if (given.size > 0) throw givenTwice();
    return whole;
  }
  for (const { name, property, isRequired } of flags)
    if (isRequired && !given.has(property)) throw new UsageError(`Missing required flag: --${name}`);
  return { kind: "flags", input: Object.fromEntries(given) };
}

function split(argument: string): { name: string; value: string | undefined } {
  if (!/^--[^=]/.test(argument)) throw new UsageError(`Unexpected argument: ${argument}`);
  const at = argument.indexOf("=");
  return at < 0
    ? { name: argument.slice(2), value: undefined }
    : { name: argument.slice(2, at), value: argument.slice(at + 1) };
}

function givenTwice(): UsageError {
  return new UsageError("Give the input once: by --json, by --json-file or by flags");
}

function followingValue(name: string, rest: Iterator<string>): string {
  const { value } = rest.next() as IteratorResult<string, undefined>;
  if (value === undefined || value.startsWith("--"))
    throw new UsageError(`Flag --${name} needs a value (--${name}=VALUE, if it begins with --)`);
  return value;
}

function setFlag(
  flags: readonly Flag[],
  given: Map<string, unknown>,
  { name, value, take }: { name: string; value: string | undefined; take(): string },
): void {
  const flag = flags.find((flag) => spellings(flag).includes(name));
  if (flag === undefined) throw new UsageError(`Unknown flag: --${name}`);
  const { property, isArray } = flag;
  if (given.has(property) && !isArray) throw new UsageError(`Flag --${name} is given twice`);
  if (flag.kind === "boolean") given.set(property, truthOf(flag, name, value));
  else if (isArray) {
    const list = (given.get(property) as unknown[] | undefined) ?? [];
    // A copy for each value would take quadratic time.
    list.push(read(flag, take()));
    given.set(property, list);
  } else given.set(property, read(flag, take()));
}

function truthOf(flag: Flag, name: string, value: string | undefined): boolean {
  if (value !== undefined && value !== "true" && value !== "false")
    throw new UsageError(`Flag --${name} expects true or false, got ${value}`);
  return (value !== "false") === (name === flag.name);
}

function read({ name, kind, choices }: Flag, text: string): unknown {
  if (choices !== undefined) {
    const found = choices.find((choice) => String(choice) === text);
    if (found === undefined)
      throw new UsageError(`Flag --${name} expects one of ${choices.join(", ")}, got ${text}`);
    return found;
  }
  if (kind === "number") {
    const number = Number(text);
    if (text.trim() === "" || Number.isNaN(number))
      throw new UsageError(`Flag --${name} expects a number, got ${text}`);
    return number;
  }
  if (kind === "string") return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
