import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs vitest with the arguments given and ends with a line of counts: `N passed, N failed`. */
const report = join(tmpdir(), `agent-vm-tests-${process.pid}.json`);
const vitest = join(import.meta.dirname, "..", "node_modules", "vitest", "vitest.mjs");
const args = [
  vitest,
  "run",
  "--configLoader=runner",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
];

const child = spawn(process.execPath, [...args, ...process.argv.slice(2)], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));

child.on("exit", (code) => {
  const { passed, failed } = readCounts(code);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : (code ?? 1);
});

interface Report {
  numPassedTests: number;
  numFailedTests: number;
}

function readCounts(code: number | null): { passed: number; failed: number } {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, "utf8")) as Report;
    // A file that could not be loaded, or an error outside of any test, is a failure too.
    return { passed: numPassedTests, failed: code === 0 ? 0 : Math.max(1, numFailedTests) };
  } catch {
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(report, { force: true });
  }
}
