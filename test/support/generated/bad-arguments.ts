import { z } from "zod";
import type { AnyMethod } from "../../../src/api/methods/method.ts";
import type { seededRandom } from "../random.ts";
import { Raw } from "./wire.ts";

type Random = ReturnType<typeof seededRandom>;

interface JsonSchema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  prefixItems?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
}

const deep = (depth: number) =>
  new Raw(`${depth} arrays`, "[".repeat(depth) + "]".repeat(depth), `${"81".repeat(depth)}80`);

/** Values that no argument expects, or that break careless code. */
const BAD: readonly unknown[] = [
  null,
  undefined,
  true,
  0,
  -1,
  -0,
  1.5,
  2 ** 31,
  2 ** 53,
  -(2 ** 63),
  1e308,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  "",
  "\0",
  "a\0b",
  "\ud800",
  "\udfff\ud800",
  "..",
  "/../../etc/shadow",
  "/proc/self/root",
  "__proto__",
  "constructor",
  "\u001b[2J\r\n\u202e",
  "x".repeat(300_000),
  `/${"é/".repeat(3_000)}`,
  [],
  [[]],
  [null],
  ["__proto__", "toString"],
  Array(40_000).fill(0),
  Array(70_000).fill(0),
  {},
  { length: 2 ** 32 },
  Object.fromEntries(["then", "toString", "valueOf", "constructor"].map((name) => [name, 1])),
  Object.fromEntries(Array.from({ length: 40_000 }, (_, index) => [`k${index}`, index])),
  new Uint8Array([0xff, 0, 0x80]),
  new Uint8Array(100_000),
  deep(200),
  deep(30_000),
  new Raw("prototype", '{"__proto__":{"polluted":true}}', "a1695f5f70726f746f5f5fa168706f6c6c75746564f5"),
  new Raw("a key twice", '{"a":1,"a":2}', "a2616101616102"),
  new Raw("infinite number", "1e999", "f97c00"),
  new Raw("large integer", '["$BigInt","9007199254740993"]', "1b0020000000000001"),
  new Raw("negative large integer", '["$BigInt","-1"]', "c34101"),
  new Raw("text that is not UTF-8", '"\\ud800"', "63eda080"),
  new Raw("array inside itself", "[[[[]]]]", "d81c81d81d00"),
  new Raw("object inside itself", '{"a":{"a":{}}}', "d81ca16161d81d00"),
  new Raw("reference to nothing", "[]", "d81d05"),
  new Raw("date", '"2020-01-01T00:00:00Z"', "c11a5e0be100"),
  new Raw("date that is none", '"never"', "c0656e65766572"),
  new Raw("set", "[1]", "d9010281f5"),
  new Raw("map", "{}", "d90103a10102"),
  new Raw("regular expression", '"(a+)+$"', "d81b82665265674578706628612b292b24"),
  new Raw("error", '{"message":"x"}', "d81b82654572726f726178"),
  new Raw("wide typed array", "[1,2]", "d8454401000200"),
  new Raw("unknown tag", "{}", "d9ffff01"),
  new Raw("marker without a value", '["$Unknown","x"]', "d81b80"),
  new Raw("bytes that are no base64", '["$Uint8Array","***"]', "d8404101"),
  new Raw("integer that is none", '["$BigInt","x"]', "c26178"),
];

const TEXTS = ["/tmp/x", "x", "true", "id", "one", "2", "TERM", "@daily", "none", "UTC", "/", "a/b"];
const NUMBERS = [0, 1, 2, 9];

/** Makes hostile arguments for methods, from the schemas of their arguments. */
export class BadArguments {
  readonly #random: Random;
  readonly #schemas = new Map<AnyMethod, JsonSchema>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Arguments that the method's schema refuses, whatever the wire makes of them. */
  refused(method: AnyMethod): unknown[] {
    for (;;) {
      const args = this.#arguments(method);
      const changes = 1 + this.#random.below(2);
      for (let count = 0; count < changes; count++) this.#spoil(args, method);
      if (!NEUTRAL.some((value) => accepts(method, args, value))) return args;
    }
  }

  /** Arguments that the method's schema accepts: most name things that do not exist. `undefined` if it takes none. */
  accepted(method: AnyMethod): unknown[] | undefined {
    for (let attempt = 0; attempt < 200 && method.input.names.length > 0; attempt++) {
      const args = this.#arguments(method);
      if (this.#random.below(2) === 0) this.#spoil(args, method);
      if (args.length > 0 && accepts(method, args)) return args;
    }
    return undefined;
  }

  #arguments(method: AnyMethod): unknown[] {
    const schema = this.#schemas.get(method) ?? schemaOf(method);
    this.#schemas.set(method, schema);
    return this.#plausible(schema) as unknown[];
  }

  #plausible(schema: JsonSchema): unknown {
    if ("const" in schema) return schema.const;
    if (schema.enum) return this.#pick(schema.enum);
    const choices = schema.anyOf ?? schema.oneOf;
    if (choices) return this.#plausible(this.#pick(choices));
    if (schema.prefixItems) return schema.prefixItems.map((item) => this.#plausible(item));
    if (schema.type === "array") {
      return Array.from({ length: this.#random.below(3) }, () => this.#plausible(schema.items ?? {}));
    }
    if (schema.type === "object") return this.#object(schema);
    if (schema.type === "boolean") return this.#random.below(2) === 0;
    if (schema.type === "null") return null;
    if (schema.type === "number" || schema.type === "integer") return this.#pick(NUMBERS);
    if (schema.type === "string") return this.#pick(TEXTS);
    return this.#pick([...TEXTS, ...NUMBERS, new Uint8Array([1])]);
  }

  #object({ properties = {}, required = [], additionalProperties }: JsonSchema): Record<string, unknown> {
    const names = Object.keys(properties).filter(
      (name) => required.includes(name) || this.#random.below(2) === 0,
    );
    const object = Object.fromEntries(names.map((name) => [name, this.#plausible(properties[name] ?? {})]));
    if (typeof additionalProperties === "object")
      object[this.#pick(TEXTS)] = this.#plausible(additionalProperties);
    return object;
  }

  /** Replaces a value at any depth, leaves one out, or adds an option or an argument. */
  #spoil(args: unknown[], { input }: AnyMethod): void {
    const way = this.#random.below(6);
    if (way === 0 || input.names.length === 0) {
      while (args.length < input.names.length) args.push(undefined);
      args.push(copied(this.#pick(BAD)));
      return;
    }
    if (way === 1) {
      args.length = this.#random.below(args.length + 1);
      return;
    }
    let within: unknown = args;
    for (;;) {
      const holder = within as Record<string, unknown>;
      const keys = Object.keys(holder);
      if (way === 2 && !Array.isArray(holder)) {
        holder[this.#pick(["unknown", "signal", "__proto__x", "constructor", "", "0"])] = copied(
          this.#pick(BAD),
        );
        return;
      }
      if (keys.length === 0) return;
      const key = this.#pick(keys);
      const inner = holder[key];
      if (!isPlain(inner) || Object.keys(inner).length === 0 || this.#random.below(3) === 0) {
        holder[key] = copied(this.#pick(BAD));
        return;
      }
      within = inner;
    }
  }

  #pick<Item>(list: readonly Item[]): Item {
    return list[this.#random.below(list.length)] as Item;
  }
}

function isPlain(value: unknown): value is object {
  return (
    typeof value === "object" && value !== null && !(value instanceof Uint8Array) && !(value instanceof Raw)
  );
}

/** Copies a value, because a later change of the arguments may be inside it. */
function copied(value: unknown): unknown {
  if (!isPlain(value)) return value;
  if (Array.isArray(value)) return value.map(copied);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copied(item)]));
}

function replaced(value: unknown, raw: unknown): unknown {
  if (value instanceof Raw || value === undefined || (typeof value === "number" && !Number.isFinite(value)))
    return raw;
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => replaced(item, raw));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, raw)]));
}

function schemaOf({ input }: AnyMethod): JsonSchema {
  return z.toJSONSchema(input.args, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

/** Values that the wire may make of a `Raw`, of `NaN` or of `undefined`. */
const NEUTRAL: readonly unknown[] = [undefined, null, "x", 1, {}, []];

/** Whether a method takes these arguments, with `raw` in place of each value that the wire changes. */
function accepts({ input }: AnyMethod, args: readonly unknown[], raw?: unknown): boolean {
  const padded = args.map((value) => replaced(value, raw));
  while (padded.length > 0 && padded.at(-1) == null) padded.pop();
  if (padded.length > input.names.length) return false;
  while (padded.length < input.names.length) padded.push(undefined);
  return input.args.safeParse(padded).success;
}
