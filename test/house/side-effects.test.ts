import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import ts from "typescript";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const { exports, sideEffects } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  exports: Record<string, string | { "agent-vm-source": string; default: string }>;
  sideEffects: string[];
};
const ENTRIES = Object.entries(exports).flatMap(([name, target]) =>
  typeof target === "string" ? [] : [{ name: `agent-vm${name.slice(1)}`, ...target }],
);
const declares = (path: string) => sideEffects.includes(`./${path}`);

/** Imports entries in turn, and prints the name of each entry that changes the process. */
const IMPORTS = `
import "zod"; // It makes globals of its own.
import "node:process"; // Opens the standard streams.
const state = () => JSON.stringify([
  Object.getOwnPropertyNames(globalThis), process.env, process.umask(), process.cwd(), process.getActiveResourcesInfo().filter((name) => !name.startsWith("FSReq")),
  process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
]);
for (const name of process.argv.slice(1)) {
  const before = state();
  await import(name);
  if (state() !== before) console.log(name);
}`;

test("an import of an entry changes nothing of the process, and opens and starts nothing", () => {
  const names = ENTRIES.map(({ name }) => name).filter((name) => name !== "agent-vm/terminal-element");
  const args = ["--conditions=agent-vm-source", "--input-type=module", "--eval", IMPORTS, ...names];
  expect(execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" })).toBe("");
});

test("package.json declares every module that is imported for its effect, and every file of src also in dist", () => {
  const files = globSync("src/**/*.{ts,tsx}", { cwd: ROOT });
  const wanted = new Set<string>();
  for (const file of files) {
    const source = ts.createSourceFile(
      file,
      readFileSync(join(ROOT, file), "utf8"),
      ts.ScriptTarget.Latest,
      true,
    );
    for (const node of source.statements) {
      if (!ts.isImportDeclaration(node) || node.importClause !== undefined) continue;
      const { text } = node.moduleSpecifier as ts.StringLiteral;
      // Bundlers skip an importer that has no effect, and with it its imports.
      if (text.startsWith(".")) wanted.add(file).add(join(file, "..", text));
    }
  }
  expect([...wanted].filter((file) => !declares(file))).toEqual([]);
  const built = sideEffects.filter((path) => path.startsWith("./dist/"));
  const own = sideEffects.filter((path) => path.startsWith("./src/") && !path.startsWith("./src/console/"));
  expect(own.map((path) => path.replace("/src/", "/dist/").replace(/\.ts$/, ".js"))).toEqual(built);
});

test.each(ENTRIES)(
  "a bundle that uses nothing of $name is empty, unless the entry has an effect",
  async (entry) => {
    const source = entry["agent-vm-source"].slice(2);
    const build = await rolldown({
      input: "entry",
      external: (id) => !id.startsWith(".") && !id.startsWith("/") && id !== "entry",
      treeshake: { moduleSideEffects: [{ external: true, sideEffects: false }] },
      plugins: [
        {
          name: "entry",
          resolveId: (id) => (id === "entry" ? id : undefined),
          load: (id) => (id === "entry" ? `import ${JSON.stringify(join(ROOT, source))};` : undefined),
        },
      ],
    });
    const { output } = await build.generate();
    const code = output[0].code.replaceAll(/^\/\/#.*$/gm, "").trim();
    expect(code === "").toBe(!declares(source));
  },
);
