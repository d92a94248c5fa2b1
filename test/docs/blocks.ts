import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** A ```ts block of README.md or docs/*.md. */
export interface Block {
  /** File and line of its first line of code, e.g. `"docs/processes.md:24"`. */
  place: string;
  /** The whole module. */
  code: string;
  /** It imports nothing, so that it continues the page's `ts setup` block. */
  continues: boolean;
  /** Marked `ts run`. */
  runs: boolean;
  /** The ```text block that follows it. */
  output: string | undefined;
}

interface Fence {
  info: string;
  line: number;
  lines: string[];
}

/** README.md and docs/*.md, as far as they exist. */
export function documents(): string[] {
  const docs = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.sort().map((name) => `docs/${name}`)].filter((path) =>
    existsSync(join(ROOT, path)),
  );
}

export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Every ```ts block of a document. */
export function blocksOf(path: string): Block[] {
  return parseBlocks(path, readDocument(path));
}

export function parseBlocks(path: string, markdown: string): Block[] {
  const fences = parseFences(markdown);
  const setup = fences.find(({ info }) => info === "ts setup")?.lines;
  return fences.flatMap(({ info, line, lines }, index) => {
    if (!/^ts( |$)/.test(info)) return [];
    const standsAlone = info === "ts setup" || lines.some((text) => /^import\b/.test(text));
    const before = standsAlone ? undefined : setup;
    const next = fences[index + 1];
    const isFollowed = next?.info === "text" && isBlank(markdown, line + lines.length + 1, next.line - 1);
    return [
      {
        place: `${path}:${line}`,
        code: [...(before ?? []), ...lines, ""].join("\n"),
        continues: before !== undefined,
        runs: info === "ts run",
        output: isFollowed ? next.lines.join("\n") : undefined,
      },
    ];
  });
}

/** Fenced blocks, indented ones too; `line` is that of the first line inside, counted from 1. */
function parseFences(markdown: string): Fence[] {
  const fences: Fence[] = [];
  let open: (Fence & { indent: string }) | undefined;
  markdown.split("\n").forEach((text, index) => {
    const [, indent = "", info] = /^( *)```(.*)$/.exec(text) ?? [];
    if (open !== undefined && info === "") {
      fences.push(open);
      open = undefined;
    } else if (open !== undefined) open.lines.push(text.replace(open.indent, ""));
    else if (info !== undefined) open = { info: info.trim(), line: index + 2, lines: [], indent };
  });
  if (open !== undefined) throw new Error(`The block in line ${open.line} is not closed`);
  return fences;
}

/** Whether nothing but white space lies between two blocks; lines are counted from 1. */
function isBlank(markdown: string, from: number, to: number): boolean {
  const between = markdown.split("\n").slice(from - 1, to - 1);
  return between.every((text) => text.trim() === "");
}
