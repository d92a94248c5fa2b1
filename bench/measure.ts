/**
 * Asynchronous work to time, an equal amount at every call. If it resolves with a function, that function is called
 * after the clock has stopped.
 */
export type Work = () => Promise<unknown>;

export interface Measurement {
  name: string;
  /** Median milliseconds by column. */
  medians: Record<string, number>;
  /** 99th percentiles by column: the worst of fewer than 100 rounds. */
  worst?: Record<string, number>;
}

/**
 * Measures several ways of one task in turn, A B C A B C ..., so that a change of the machine's speed affects all of
 * them.
 *
 * @param warmUp first rounds that do not count. @default 1
 */
export async function compare(
  name: string,
  rounds: number,
  ways: Record<string, Work>,
  warmUp = 1,
): Promise<Required<Measurement>> {
  const samples: Record<string, number[]> = Object.fromEntries(Object.keys(ways).map((way) => [way, []]));
  for (let round = 0; round < warmUp + rounds; round++) {
    for (const [way, work] of Object.entries(ways)) {
      const started = performance.now();
      const undo = await work();
      if (round >= warmUp) samples[way]?.push(performance.now() - started);
      if (typeof undo === "function") await undo();
    }
  }
  const of = (part: number) =>
    Object.fromEntries(Object.entries(samples).map(([way, values]) => [way, percentile(values, part)]));
  return { name, medians: of(0.5), worst: of(0.99) };
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** @param part of the values that are smaller, from 0 to 1 */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
}

/**
 * First rounds of a short call that do not count. A new server takes up to three times as long for its first hundreds of calls, until
 * its code is compiled, and the row that comes first would pay for all.
 */
export const SHORT_CALL_WARM_UP = 500;

/** A Markdown table: medians in milliseconds, each with its ratio to the host's. */
export function table(measurements: readonly Measurement[], columns: readonly string[]): string {
  const rows = measurements.map(({ name, medians }) => [
    name,
    ...columns.map((column) => cell(medians[column], column === "host" ? undefined : medians.host)),
  ]);
  const header = ["median ms (ratio to the host)", ...columns];
  const lines = [header, header.map((_, index) => (index === 0 ? "---" : "---:")), ...rows];
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
}

function cell(value: number | undefined, host: number | undefined): string {
  if (value === undefined) return "";
  const shown = value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0);
  return host === undefined ? shown : `${shown} (${(value / host).toFixed(2)}x)`;
}
