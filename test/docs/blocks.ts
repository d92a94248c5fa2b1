import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

/** A ```ts block of a document. */
export interface Block {
  /** File and line of its first line of code, e.g. `"docs/processes.md:24"`. */
  place: string;
  /** Code of the whole module, with the page's setup. */
  code: string;
  /** Whether the block continues the page's `ts setup` block. A block without imports does. */
  continues: boolean;
  /** Whether the block is marked `ts run`. */
  runs: boolean;
  /** Content of the ```text block that follows this block; `undefined` if there is none. */
  output: string | undefined;
}

interface Fence {
  info: string;
  line: number;
  lines: string[];
}

/** Returns the paths of all documents: the Markdown files of the root, docs and docs/design. */
export function documents(): string[] {
  return ["", "docs", "docs/design"]
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) => {
      const names = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".md"));
      return names.sort().map((name) => join(folder, name));
    });
}

export function readDocument(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Returns every ```ts block of a document. */
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

/** Returns fenced blocks, including indented blocks. `line` is the first line inside a block, counted from 1. */
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

/** Returns whether only white space separates two blocks. Lines are counted from 1. */
function isBlank(markdown: string, from: number, to: number): boolean {
  const between = markdown.split("\n").slice(from - 1, to - 1);
  return between.every((text) => text.trim() === "");
}
