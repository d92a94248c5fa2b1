import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { rowOf, VM_METHOD_NAMES, type VmMethodName } from "../../src/api/methods/table.ts";
import { ROOT } from "./source.ts";

const FILE = "src/api/methods/facts.ts";

/** Makes src/api/methods/facts.ts: the facts of the method table that the client acts on. */
export function factsModule(): string {
  const having = (fact: "long" | "nullable" | "signal") =>
    VM_METHOD_NAMES.filter((name) => rowOf(name)[fact] === true);
  const withCount = (name: VmMethodName) => [name, rowOf(name).input.names.length];
  return formatted(`// Written by \`npm run docs\` from the method table. Do not edit.

/*
 * Facts of the method table that the client acts on. The client must not load the table: the table has the schemas of the
 * arguments, and zod with them would double the size of a client in a browser.
 */

/** Methods that may take longer than an HTTP request lives. */
export const LONG_METHODS: ReadonlySet<string> = new Set(${JSON.stringify(having("long"))});

/** Methods of which \`null\` is a result. */
export const NULLABLE_METHODS: ReadonlySet<string> = new Set(${JSON.stringify(having("nullable"))});

/** Methods that take \`CallOptions\`, each with the number of arguments before them. */
export const SIGNAL_METHODS: ReadonlyMap<string, number> = new Map(${JSON.stringify(having("signal").map(withCount))});
`);
}

/** Formats a module as `npm run lint` does. */
function formatted(text: string): string {
  const biome = join(ROOT, "node_modules/.bin/biome");
  return execFileSync(biome, ["format", `--stdin-file-path=${FILE}`], {
    cwd: ROOT,
    input: text,
    encoding: "utf8",
  });
}
