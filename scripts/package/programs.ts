import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes the texts of the helper programs into the module of `dist` that hands them out. */
export function embedPrograms(root: string): void {
  const helpers = join("runtime", "sandbox", "kernel", "helpers");
  const names = readdirSync(join(root, "src", helpers)).filter((name) => name.endsWith(".pl"));
  const texts = Object.fromEntries(
    names.map((name) => [
      name.slice(0, -".pl".length),
      readFileSync(join(root, "src", helpers, name), "utf8"),
    ]),
  );
  writeFileSync(
    join(root, "dist", helpers, "program-text.js"),
    `const PERL = ${JSON.stringify(texts, null, 2)};\nexport const perlText = (name) => PERL[name];\n`,
  );
}
