import { writeFileSync } from "node:fs";
import type { Measurement } from "./measure.ts";

/** Ratios to the host, by the name of the measurement and the column. */
export type Ratios = Record<string, Record<string, number>>;

/** Writes the ratios of a run into a file. */
export function writeRatios(file: string, measurements: readonly Measurement[]): void {
  const ratios: Ratios = {};
  for (const { name, medians } of measurements) {
    const { host, ...others } = medians;
    if (host === undefined) continue;
    const columns = Object.entries(others).map(([column, ms]) => [
      column,
      Number((ms / host).toPrecision(3)),
    ]);
    if (columns.length > 0) ratios[name] = Object.fromEntries(columns) as Ratios[string];
  }
  writeFileSync(file, `${JSON.stringify(ratios, null, 2)}\n`);
}

/** A measurement that is slower than before, in comparison with the host. */
export interface Slower {
  name: string;
  column: string;
  before: number;
  now: number;
}

/** Lists the ratios that have grown by more than a part, the worst first. Columns that one of the runs lacks do not count. */
export function slowerThan(before: Ratios, now: Ratios, part: number): Slower[] {
  const found = Object.entries(before).flatMap(([name, columns]) =>
    Object.entries(columns).flatMap(([column, ratio]): Slower[] => {
      const next = now[name]?.[column];
      return next !== undefined && next > ratio * (1 + part)
        ? [{ name, column, before: ratio, now: next }]
        : [];
    }),
  );
  return found.sort((a, b) => b.now / b.before - a.now / a.before);
}
