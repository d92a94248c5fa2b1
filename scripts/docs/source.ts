import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

export const ROOT = join(import.meta.dirname, "../..");

/** The docstring of one declaration: its text and its tags. */
export interface Docstring {
  text: string;
  tags: Map<string, string>;
}

export function sourceFiles(folder = "src"): string[] {
  const output = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "--", folder], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return output.split("\n").filter((path) => path.endsWith(".ts"));
}

export function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(
    join(ROOT, path),
    readFileSync(join(ROOT, path), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
}

export function docstringOf(node: ts.Node): Docstring {
  const doc = ts.getJSDocCommentsAndTags(node).findLast((part): part is ts.JSDoc => ts.isJSDoc(part));
  const tags = new Map<string, string>();
  for (const tag of doc?.tags ?? [])
    tags.set(tag.tagName.text, oneLine(ts.getTextOfJSDocComment(tag.comment)));
  return { text: oneLine(ts.getTextOfJSDocComment(doc?.comment)), tags };
}

function oneLine(text: string | undefined): string {
  return (text ?? "").replaceAll(/\s+/g, " ").trim();
}

/** Formats a number for people: `1,048,576`. */
export function shown(value: number): string {
  return value.toLocaleString("en-US");
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), `|${header.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

const UNITS: Readonly<Record<string, readonly [string, number][]>> = {
  bytes: [
    ["TiB", 1024 ** 4],
    ["GiB", 1024 ** 3],
    ["MiB", 1024 ** 2],
    ["KiB", 1024],
  ],
  ms: [
    ["min", 60_000],
    ["s", 1_000],
  ],
};

/** Adds the value in a larger unit to a unit: `bytes (8 MiB)`. */
export function unitOf({ value, unit }: { value: number; unit: string }): string {
  const larger = UNITS[unit]?.find(([, size]) => value >= size && Number.isInteger((value / size) * 16));
  return larger === undefined ? unit.replace("number", "") : `${unit} (${value / larger[1]} ${larger[0]})`;
}
