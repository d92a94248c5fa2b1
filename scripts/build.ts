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

// The one part of the runtime that is not TypeScript.
const spawner = join("runtime", "sandbox", "kernel", "start", "spawner.pl");
copyFileSync(join(root, "src", spawner), join(root, "dist", spawner));

for (const program of ["server.js", "doctor.js"]) chmodSync(join(root, "dist", program), 0o755);
