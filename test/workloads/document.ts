import { readFileSync, writeFileSync } from "node:fs";
import type { Workload } from "./workload.ts";

export interface Result {
  name: string;
  outcome: "passed" | "failed" | "skipped";
  /** The version, or the reason why it failed or was skipped. */
  detail: string;
}

const FILE = new URL("../../docs/workloads.md", import.meta.url);

/** Columns of the two kinds of server. A run writes its own and keeps the other. */
const COLUMN = process.getuid?.() === 0 ? 2 : 3;
const WORDS = { passed: "works", failed: "**fails**", skipped: "not tried" };

/** Puts the outcomes into the table of docs/workloads.md. A workload that was not run keeps its row. */
export function writeDocument(workloads: readonly Workload[], results: readonly Result[]): void {
  const text = readFileSync(FILE, "utf8");
  const lines = text.split("\n").filter((line) => line.startsWith("| "));
  const known = new Map(lines.map((line) => [cells(line)[0], cells(line)]));
  const rows = workloads.map(({ name, tried, limits }) => {
    const result = results.find((found) => found.name === name);
    const row = known.get(name) ?? [name, "", "", ""];
    if (result?.outcome === "passed") row[1] = versions(result.detail);
    if (result !== undefined) row[COLUMN] = WORDS[result.outcome];
    return [...row.slice(0, 4), tried, limits ?? ""];
  });
  const header = ["workload", "version", "root", "ordinary user", "tried", "limits"];
  const table = [header, header.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`);
  const start = text.indexOf("\n| workload |");
  const end = text.indexOf("\n\n", start + 1);
  writeFileSync(FILE, `${text.slice(0, start + 1)}${table.join("\n")}${text.slice(end)}`);
}

function cells(line: string): string[] {
  return line
    .slice(2, -2)
    .split(" | ")
    .map((cell) => cell.trim());
}

/** The numbers of versions in the output of programs. */
function versions(output: string): string {
  const found = output.match(/\d+(\.\d+)+[\w.]*/g) ?? output.match(/\d+/g) ?? [];
  return [...new Set(found)].slice(0, 3).join(", ");
}
