import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const lines = (path: string) => readFileSync(path, "utf8").split("\n");

interface Row {
  name: string;
  /** The number of each column, by the column's head. */
  figures: Record<string, string>;
}

/** Reads the tables of a page whose columns are figures. */
function tablesOf(path: string): Row[][] {
  const tables: Row[][] = [];
  let heads: string[] | undefined;
  for (const line of lines(path)) {
    const cells = line.startsWith("|") ? line.split("|").slice(1, -1) : undefined;
    const trimmed = cells?.map((cell) => cell.trim());
    if (trimmed === undefined) heads = undefined;
    else if (heads === undefined) {
      heads = trimmed;
      tables.push([]);
    } else if (!trimmed.every((cell) => /^:?-+:?$/.test(cell))) {
      const [name = "", ...values] = trimmed;
      const figures = values.map((value, index) => [heads?.[index + 1], value.split(" ")[0]]);
      tables.at(-1)?.push({ name, figures: Object.fromEntries(figures) });
    }
  }
  return tables;
}

test("every figure of the README stands in one table of docs/performance.md", () => {
  const measured = tablesOf("docs/performance.md");
  const shown = tablesOf("README.md").filter((rows) => rows.some(({ figures }) => "runtime" in figures));
  expect(shown.length).toBeGreaterThanOrEqual(2);
  const holds = (table: Row[], { name, figures }: Row) =>
    table.some(
      (row) =>
        row.name === name && Object.entries(figures).every(([head, value]) => row.figures[head] === value),
    );
  for (const rows of shown) {
    const fitting = measured.filter((table) => rows.every((row) => holds(table, row)));
    expect(fitting.length, JSON.stringify(rows)).toBeGreaterThanOrEqual(1);
  }
});

test("the README's memory of an idle VM stands in docs/performance.md", () => {
  const cost = /An idle VM costs [\d.]+ to [\d.]+ MiB/;
  const [readme, page] = ["README.md", "docs/performance.md"].map(
    (path) => cost.exec(readFileSync(path, "utf8"))?.[0],
  );
  expect(readme).toMatch(cost);
  expect(page).toBe(readme);
});
