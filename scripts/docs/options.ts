import ts from "typescript";
import { z } from "zod";
import { vmOptionsSchema } from "../../src/runtime/options.ts";
import { type Docstring, docstringOf, parse, shown, unitOf } from "./source.ts";

interface JsonSchema {
  type?: string;
  default?: unknown;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  maxItems?: number;
  properties?: Record<string, JsonSchema>;
}

const schema = z.toJSONSchema(vmOptionsSchema, { io: "input", unrepresentable: "any" }) as JsonSchema;
const docs = docstrings();

export function vmLimitRows(): string[][] {
  return Object.entries(schema.properties?.limits?.properties ?? {}).map(([name, option]) => {
    const { text, tags } = docs.get(`limits.${name}`) ?? missing(`limits.${name}`);
    const value = Number(option.default);
    const code = tags.get("code");
    return [
      `\`${name}\``,
      option.default === undefined ? "none" : shown(value),
      unitOf({ value, unit: tags.get("unit") ?? missing(`${name} (@unit)`) }),
      ...range(option),
      text,
      tags.get("past") ?? "",
      code === undefined ? "" : `[\`${code}\`](errors.md#${code.toLowerCase()})`,
    ];
  });
}

export function vmOptionRows(): string[][] {
  return [...options("", schema)]
    .filter(([path]) => !path.startsWith("limits."))
    .map(([path, option]) => {
      const { text } = docs.get(path) ?? missing(path);
      const value = option.default === undefined ? "" : `\`${JSON.stringify(option.default)}\``;
      return [`\`${path}\``, value, ...range(option), text];
    });
}

/** Yields one row for each field of an option whose fields have docstrings here, and one row for any other option. */
function* options(prefix: string, { properties = {} }: JsonSchema): Generator<[string, JsonSchema]> {
  for (const [name, option] of Object.entries(properties)) {
    const path = prefix + name;
    const isOpen = [...docs.keys()].some((key) => key.startsWith(`${path}.`));
    if (isOpen) yield* options(`${path}.`, option);
    else yield [path, option];
  }
}

function range({ minimum, exclusiveMinimum, maximum, maxItems, type }: JsonSchema): [string, string] {
  const from = exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1;
  if (type === "array") return ["", maxItems === undefined ? "" : `${maxItems} entries`];
  const isBounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  return [from === undefined ? "" : shown(from), isBounded ? shown(maximum) : ""];
}

/** Reads the docstrings of the schema's fields, by the path of the option. */
function docstrings(): Map<string, Docstring> {
  const found = new Map<string, Docstring>();
  const file = parse("src/runtime/options.ts");
  const visit = (node: ts.Node, prefix: string): void => {
    if (ts.isPropertyAssignment(node)) {
      const path = prefix + node.name.getText();
      const doc = docstringOf(node);
      if (doc.text !== "") found.set(path, doc);
      ts.forEachChild(node, (child) => visit(child, `${path}.`));
    } else ts.forEachChild(node, (child) => visit(child, prefix));
  };
  for (const statement of file.statements.filter(ts.isVariableStatement)) {
    for (const { name, initializer } of statement.declarationList.declarations) {
      const prefix = { limitsSchema: "limits.", vmOptionsSchema: "" }[name.getText()];
      if (prefix !== undefined && initializer) visit(initializer, prefix);
    }
  }
  return found;
}

function missing(name: string): never {
  throw new Error(`src/runtime/options.ts: ${name} has no docstring`);
}
