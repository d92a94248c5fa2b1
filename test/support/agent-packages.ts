import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { testFolder } from "./temporary-folder.ts";

export interface PackageText {
  version: string;
  /** Text of each program, by name. */
  programs?: Record<string, string>;
  /** Text of each other file, by path. */
  files?: Record<string, string>;
}

/** Makes a folder `node_modules` with packages, as npm would. It is removed when the test ends. */
export function installPackages(packages: Record<string, PackageText>): string {
  const above = testFolder();
  chmodSync(above, 0o755);
  const folder = join(above, "node_modules");
  mkdirSync(folder);
  for (const [name, { version, programs = {}, files = {} }] of Object.entries(packages)) {
    const bin = Object.fromEntries(Object.keys(programs).map((program) => [program, `dist/${program}.js`]));
    const texts = Object.entries(programs).map(([program, text]) => [`dist/${program}.js`, text]);
    for (const [path, text] of [
      ["package.json", JSON.stringify({ name, version, bin })],
      ...texts,
      ...Object.entries(files),
    ] as [string, string][]) {
      mkdirSync(dirname(join(folder, name, path)), { recursive: true });
      writeFileSync(join(folder, name, path), text, { mode: 0o755 });
    }
  }
  return folder;
}
