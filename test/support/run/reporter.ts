import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import type { Counts } from "./counts.ts";

/** Variable with the path of the file to which a vitest run writes its {@link Report}. */
export const REPORT_VARIABLE = "AGENT_VM_TEST_REPORT";

/** Outcome of a vitest run. The name of what no test file is to blame for is `""`. */
export type Report = Record<string, FileOutcome>;

interface FileOutcome extends Counts {
  /** Time of the file's imports, hooks and tests. In milliseconds. */
  ms: number;
  /** CPU time, also of the processes that the file has started. In milliseconds. */
  cpuMs: number;
}

/** Writes the counts and the time of each test file, and the reason of each skipped test. */
export default class CountsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const files: Report = {};
    const of = (path: string) => {
      files[path] ??= { passed: 0, failed: 0, skipped: [], ms: 0, cpuMs: 0 };
      return files[path];
    };
    for (const module of modules) {
      const counts = of(module.relativeModuleId);
      const { collectDuration, duration } = module.diagnostic();
      counts.ms += collectDuration + duration;
      counts.cpuMs += module.meta().cpuMs ?? 0;
      // A file that fails to load has no tests, but an error.
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) count(test, counts);
    }
    for (const error of errors) of(blamed(error)).failed += 1;
    const report = process.env[REPORT_VARIABLE];
    if (report !== undefined) writeFileSync(report, JSON.stringify(files));
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

/** Returns the test file that ran when an error outside of tests was thrown; `""` if vitest does not know it. */
function blamed(error: unknown): string {
  const path = (error as { VITEST_TEST_PATH?: unknown }).VITEST_TEST_PATH;
  return typeof path === "string" ? relative(process.cwd(), path) : "";
}
