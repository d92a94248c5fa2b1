import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { attacksPage } from "./docs/attacks.ts";
import { cliPage } from "./docs/cli.ts";
import { errorsPage } from "./docs/errors.ts";
import { factsModule } from "./docs/facts.ts";
import { limitsPage } from "./docs/limits.ts";
import { methodsPage } from "./docs/methods.ts";
import { ROOT } from "./docs/source.ts";

/** Writes the generated documents and modules. With `--check` it writes nothing and fails if one is stale. */
const PAGES: Readonly<Record<string, () => string>> = {
  "docs/attacks.md": attacksPage,
  "docs/cli.md": cliPage,
  "docs/errors.md": errorsPage,
  "docs/limits.md": limitsPage,
  "docs/methods.md": methodsPage,
  "src/api/methods/facts.ts": factsModule,
};

const check = process.argv.includes("--check");
for (const [path, write] of Object.entries(PAGES)) {
  const text = write();
  const file = join(ROOT, path);
  if (!check) writeFileSync(file, text);
  else if (text !== readOrEmpty(file)) {
    console.error(`${path} is stale. Run \`npm run docs\`.`);
    process.exitCode = 1;
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
