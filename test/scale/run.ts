import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { walk } from "./walk.ts";

/**
 * `npm run test:scale [-- --short]`: brings up a Rivet Engine, two servers and a front, each in a network namespace of its own,
 * walks the features of a VM through the front, lets parts fail, and prints a table. Needs root, iproute2, and
 * RIVET_ENGINE_BINARY. The exit code is 1 if a line fails.
 */
const engine = process.env.RIVET_ENGINE_BINARY;
if (engine === undefined) {
  throw new Error(
    "RIVET_ENGINE_BINARY names no Rivet Engine: npm install @rivetkit/engine-cli-linux-x64-musl@2.3.19",
  );
}
if (process.getuid?.() !== 0) throw new Error("Network namespaces need root");
const folder = mkdtempSync(join(tmpdir(), "agent-vm-scale-"));
try {
  const rows = await walk({
    engine,
    folder,
    isShort: process.argv.includes("--short"),
    onRow({ name, ms, error }) {
      console.log(`${error === undefined ? "ok  " : "FAIL"} ${name.padEnd(66)} ${String(ms).padStart(7)} ms`);
      if (error !== undefined) console.log(`     ${error}`);
    },
  });
  const failed = rows.filter(({ error }) => error !== undefined).length;
  console.log(`${rows.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
