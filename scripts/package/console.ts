import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleConsole } from "../../src/http/console/bundle.ts";

/** Module of `dist` that reads the files of the console. */
const READER = `import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../../console/", import.meta.url);

export const bundleConsole = async () => ({
  files: readdirSync(folder).map((name) => ({ name, content: readFileSync(new URL(name, folder)) })),
  modules: [],
});
`;

/** Writes the console into `dist`, bundled. @returns the modules that it contains */
export async function embedConsole(root: string): Promise<string[]> {
  const { files, modules } = await bundleConsole();
  const folder = join(root, "dist", "console");
  mkdirSync(folder, { recursive: true });
  for (const { name, content } of files) writeFileSync(join(folder, name), content);
  writeFileSync(join(root, "dist", "http", "console", "bundle.js"), READER);
  return modules;
}
