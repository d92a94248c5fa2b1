import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./package/bundle.ts";
import { embedConsole } from "./package/console.ts";
import { embedPrograms } from "./package/programs.ts";

/** Emits dist: JavaScript and types from src, RivetKit inside, and `agent-vm` as a program. */
const root = join(import.meta.dirname, "..");
rmSync(join(root, "dist"), { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
for (const project of ["tsconfig.build.json", "tsconfig.element.json"]) {
  execFileSync(process.execPath, [tsc, "--project", join(root, project)], { cwd: root, stdio: "inherit" });
}

embedPrograms(root);
const { dependencies, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
// A server that a user bundles has no package.json beside it.
writeFileSync(
  join(root, "dist", "base", "package-version.js"),
  `export const packageVersion = () => ${JSON.stringify(version)};\n`,
);
await bundle(root, Object.keys(dependencies), await embedConsole(root));
chmodSync(join(root, "dist", "cli", "main.js"), 0o755);
