import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ratios, slowerThan } from "./ratios.ts";

/**
 * `npm run bench:check`: runs the benchmark, and prints the ratios to the host that are worse than those of the last commit
 * that changed bench/ratios.json. `npm run bench -- --ratios bench/ratios.json` writes that file.
 */
const FILE = "bench/ratios.json";
const ALLOWED_PART = 0.2;
const root = join(import.meta.dirname, "..");
const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();

const commit = git("log", "-1", "--format=%H", "--", FILE);
if (commit === "") throw new Error(`No commit has ${FILE}`);
const before = JSON.parse(git("show", `${commit}:${FILE}`)) as Ratios;
const scratch = mkdtempSync(join(tmpdir(), "agent-vm-bench-"));
try {
  const file = join(scratch, "ratios.json");
  const args = ["--expose-gc", join(import.meta.dirname, "run.ts"), "--ratios", file];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`The benchmark ended with ${status}`);
  const slower = slowerThan(before, JSON.parse(readFileSync(file, "utf8")) as Ratios, ALLOWED_PART);
  console.log(`\nCompared with ${git("log", "-1", "--format=%h of %cs", commit)}:`);
  for (const { name, column, before, now } of slower)
    console.log(
      `${name}, ${column}: ${now}x the host, was ${before}x (+${Math.round((now / before - 1) * 100)} %)`,
    );
  if (slower.length === 0) console.log(`nothing is more than ${ALLOWED_PART * 100} % slower`);
  process.exitCode = slower.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
