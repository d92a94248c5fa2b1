import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    peer: { type: "boolean", default: false },
    ratios: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
  },
});

/** Options of the command line: `--peer`, `--ratios FILE`, and `--only TEXT` any number of times. */
export const BENCH_OPTIONS: Readonly<typeof values> = values;

/** Returns whether a row of the table is measured: without `--only` each one, else those whose names have one of the texts. */
export function isChosen(name: string): boolean {
  const { only } = values;
  return only.length === 0 || only.some((text) => name.includes(text));
}
