import { test } from "vitest";

/**
 * Defines a test for each row of a table. Rows after the first `quick` have the tag `slow`.
 *
 * @param quick number of rows that the quick suite runs
 */
export function testRows<Row extends readonly unknown[]>(
  rows: readonly Row[],
  quick: number,
): (title: string, run: (...row: [...Row]) => Promise<void>) => void {
  return (title, run) => {
    const each = (...row: unknown[]) => run(...(row as unknown as [...Row]));
    test.each(rows.slice(0, quick) as unknown as unknown[][])(title, each);
    test.each(rows.slice(quick) as unknown as unknown[][])(title, { tags: ["slow"] }, each);
  };
}
