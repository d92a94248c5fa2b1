import truncatedWidth from "fast-string-truncated-width";
import { printable } from "../base/printable.ts";

/** A column of a table. */
export interface Column<Row> {
  title: string;
  of(row: Row): string | number | null | undefined;
  /** Numbers stand at the right. @default false */
  isNumber?: boolean;
}

const GAP = "  ";
const ELLIPSIS = "…";

/** Columns that a column of a table keeps at least. */
const NARROWEST = 8;

/**
 * Lays a table out for a terminal: a line of titles, and lines of at most `width` columns. The widest columns give way.
 * Control characters of the cells are escaped.
 */
export function layOut<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number): string[] {
  const titles = columns.map(({ title }) => title);
  const cells = [titles, ...rows.map((row) => cellsOf(row, columns))];
  const widths = fitted(
    columns.map((_, index) => Math.max(...cells.map((line) => widthOf(line[index] ?? "")))),
    width - GAP.length * (columns.length - 1),
  );
  return cells.map((line) =>
    line
      .map((cell, index) => padded(cell, widths[index] ?? 0, columns[index]?.isNumber ?? false))
      .join(GAP)
      .trimEnd(),
  );
}

/** Returns a table for programs: one line a row, cells with tabs between, whole and without titles. */
export function separated<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  return rows.map((row) => cellsOf(row, columns).join("\t"));
}

function cellsOf<Row>(row: Row, columns: readonly Column<Row>[]): string[] {
  return columns.map((column) => printable(String(column.of(row) ?? "-")));
}

/** Takes from the widest columns until all fit. */
function fitted(widths: number[], room: number): number[] {
  const fit = [...widths];
  for (let over = fit.reduce((sum, each) => sum + each, 0) - room; over > 0; ) {
    const widest = Math.max(...fit);
    if (widest <= NARROWEST) break;
    const second = Math.max(NARROWEST, ...fit.filter((each) => each < widest));
    const at = fit.indexOf(widest);
    const taken = Math.min(over, Math.max(1, widest - second));
    fit[at] = widest - taken;
    over -= taken;
  }
  return fit;
}

function widthOf(text: string): number {
  return truncatedWidth(text).width;
}

function padded(text: string, width: number, isNumber: boolean): string {
  const cut = truncatedWidth(text, { limit: width, ellipsis: ELLIPSIS, ellipsisWidth: 1 });
  const shown = cut.truncated ? `${text.slice(0, cut.index)}${cut.ellipsed ? ELLIPSIS : ""}` : text;
  const space = " ".repeat(Math.max(0, width - widthOf(shown)));
  return isNumber ? space + shown : shown + space;
}
