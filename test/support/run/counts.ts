/** Outcome of a run. */
export interface Counts {
  passed: number;
  failed: number;
  /** Name and reason of each test that skipped itself. */
  skipped: string[];
}

/** Sums the counts of several runs. */
export function sum(all: readonly Counts[]): Counts {
  return {
    passed: all.reduce((total, { passed }) => total + passed, 0),
    failed: all.reduce((total, { failed }) => total + failed, 0),
    skipped: all.flatMap(({ skipped }) => skipped),
  };
}

/** The last line of a run: `N passed, N failed`, and `, N skipped` if there are any. */
export function line({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`;
}
