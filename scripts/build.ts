import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Emits dist: JavaScript and types from src, and the server as a program. */
const root = join(import.meta.dirname, "..");
rmSync(join(root, "dist"), { recursive: true, force: true });
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [tsc, "--project", join(root, "tsconfig.build.json")], {
  cwd: root,
  stdio: "inherit",
});

// The parts of the runtime that are not TypeScript.
const kernel = join("runtime", "sandbox", "kernel");
for (const name of [
  "start/enter.pl",
  "start/spawner.pl",
  "network/connector.pl",
  "rooted/attributes.pl",
  "watch/watcher.pl",
]) {
  const program = join(kernel, name);
  copyFileSync(join(root, "src", program), join(root, "dist", program));
}

for (const program of ["server.js", "doctor.js"]) chmodSync(join(root, "dist", program), 0o755);
