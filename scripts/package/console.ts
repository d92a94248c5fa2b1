import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleConsole } from "../../src/http/console/bundle.ts";

/** Module of `dist` that reads the files of the console, and no others: beside a bundled server the folder is another. */
const readerOf = (names: readonly string[]) => `import { readFileSync } from "node:fs";

const folder = new URL("../../console/", import.meta.url);
const names = ${JSON.stringify(names)};

export const bundleConsole = async () => ({
  files: names.map((name) => ({ name, content: readFileSync(new URL(name, folder)) })),
  modules: [],
});
`;

/** Writes the console into `dist`, bundled. @returns the modules that it contains */
export async function embedConsole(root: string): Promise<string[]> {
  const { files, modules } = await bundleConsole();
  const folder = join(root, "dist", "console");
  mkdirSync(folder, { recursive: true });
  for (const { name, content } of files) writeFileSync(join(folder, name), content);
  writeFileSync(join(root, "dist", "http", "console", "bundle.js"), readerOf(files.map(({ name }) => name)));
  return modules;
}
