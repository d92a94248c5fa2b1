import { writeFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import type { Counts } from "./counts.ts";

/** Variable with the path of the file from which `test/run.ts` reads the counts of a vitest run. */
export const REPORT_VARIABLE = "AGENT_VM_TEST_REPORT";

/** Writes the counts of a run, and the reason of each skipped test. */
export default class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts: Counts = { passed: 0, failed: errors.length, skipped: [] };
    for (const module of modules) {
      // A file that fails to load has no tests, but an error.
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) count(test, counts);
    }
    const report = process.env[REPORT_VARIABLE];
    if (report !== undefined) writeFileSync(report, JSON.stringify(counts));
  }
}

function count(test: TestCase, counts: Counts): void {
  const result = test.result();
  if (result.state === "passed") counts.passed += 1;
  else if (result.state === "failed") counts.failed += 1;
  else if (result.state === "skipped" && result.note !== undefined) {
    counts.skipped.push(`${test.module.relativeModuleId} > ${test.fullName}: ${result.note}`);
  }
}
