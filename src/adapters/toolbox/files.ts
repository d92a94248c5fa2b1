import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import { textOrBytes } from "../../base/bytes.ts";
import { statOrNull } from "../shared/file-kind.ts";
import { grep } from "../shared/grep.ts";
import { replaced } from "../shared/replace.ts";
import { linesOf, shortened } from "../shared/text.ts";
import type { Workplace } from "../shared/workplace.ts";
import { defineTool } from "./tool.ts";

/**
 * File that the text tools read.
 * @unit bytes
 */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

const MAX_LISTED = 1_000;

const path = z.string().min(1).describe("Path, absolute or relative to the base directory");
const lineNumber = z.int().min(1).optional();

const reading = { right: "files", reads: true } as const;
const writing = { right: "files" } as const;

/** Reads a text file. @throws AgentVmError `ENOENT`, `EISDIR`; `invalid_argument` if it is not text, or too large */
async function readText({ vm }: Workplace, full: string): Promise<string> {
  const stat = await statOrNull(vm, full);
  if (stat !== null && stat.size > MAX_TEXT_BYTES) {
    throw new AgentVmError(
      "invalid_argument",
      `${full} has ${stat.size} bytes, above the ${MAX_TEXT_BYTES} of text tools`,
      {
        hint: "Use exec with head, tail or sed.",
      },
    );
  }
  const content = textOrBytes(await vm.readFile(full));
  if (typeof content === "string") return content;
  throw new AgentVmError("invalid_argument", `${full} is not UTF-8 text`, {
    hint: "Use exec with file or xxd.",
  });
}

/** Tools for files. */
export const FILE_TOOLS = {
  read_file: defineTool({
    title: "Read a file",
    description: "Reads a text file of the VM, or lines of it.",
    input: z.strictObject({
      path,
      start_line: lineNumber.describe("First line, counted from 1. Default: 1"),
      end_line: lineNumber.describe("Last line, included. Default: the end"),
    }),
    effect: "read",
    needs: [reading],
    async run({ path: given, start_line, end_line }, { place, outputLimit }) {
      const content = linesOf(await readText(place, place.resolve(given)), start_line, end_line);
      return { truncated: content.length > outputLimit, text: shortened(content, outputLimit) };
    },
  }),
  write_file: defineTool({
    title: "Write a file",
    description:
      "Writes a text file of the VM and makes missing parent directories. Replaces the file if it exists.",
    input: z.strictObject({ path, content: z.string().describe("New content of the whole file") }),
    effect: "write",
    idempotent: true,
    needs: [writing],
    async run({ path: given, content }, { vm, place, signal }) {
      const full = place.resolve(given);
      await vm.writeFile(full, content, { signal });
      return { path: full, text: `Wrote ${full}` };
    },
  }),
  edit_file: defineTool({
    title: "Edit a file",
    description: "Replaces one exact piece of text in a file of the VM.",
    input: z.strictObject({
      path,
      old_text: z.string().min(1).describe("Text to replace. It must occur exactly once"),
      new_text: z.string().describe("Text in its place"),
      replace_all: z.boolean().optional().describe("Replaces every occurrence. Default: false"),
    }),
    effect: "write",
    needs: [writing],
    async run({ path: given, old_text, new_text, replace_all = false }, { vm, place, signal }) {
      const full = place.resolve(given);
      const { text, count } = replaced(await readText(place, full), old_text, new_text, replace_all);
      await vm.writeFile(full, text, { signal });
      return { path: full, replacements: count, text: `Replaced ${count} in ${full}` };
    },
  }),
  list_dir: defineTool({
    title: "List a directory",
    description: "Lists a directory of the VM: one line an entry, with its type and size.",
    input: z.strictObject({
      path: path.optional(),
      depth: z.int().min(1).max(20).optional().describe("Levels to list. Default: 1"),
      exclude: z.array(z.string()).max(100).optional().describe('Names to leave out, such as "node_modules"'),
    }),
    effect: "read",
    needs: [reading],
    async run({ path: given = ".", depth = 1, exclude }, { vm, place, outputLimit }) {
      const full = place.resolve(given);
      const found = await vm.readdirRecursive(full, { maxDepth: depth - 1, ...(exclude && { exclude }) });
      const entries = found.slice(0, MAX_LISTED);
      const lines = entries.map(({ path: each, type, size }) => `${type}\t${size}\t${each}`);
      if (found.length > entries.length)
        lines.push(`[... ${found.length - entries.length} entries left out ...]`);
      const text = shortened(lines.join("\n") || "(empty directory)", outputLimit);
      return { path: full, entries, total: found.length, text };
    },
  }),
  search: defineTool({
    title: "Search in files",
    description:
      "Searches text files below a directory for an extended regular expression (grep -E): path:line:text for each match.",
    input: z.strictObject({
      pattern: z.string().min(1).describe("Extended regular expression"),
      path: path.optional(),
      include: z.string().optional().describe('Only files whose name fits this glob, such as "*.ts"'),
      ignore_case: z.boolean().optional(),
      limit: z.int().min(1).max(1_000).optional().describe("Largest number of matches. Default: 100"),
    }),
    effect: "read",
    needs: [{ right: "exec" }],
    async run(
      { pattern, path: given = ".", include, ignore_case, limit = 100 },
      { vm, place, outputLimit, signal },
    ) {
      const request = {
        pattern,
        path: place.resolve(given),
        include,
        ignoreCase: ignore_case,
        limit,
        signal,
      };
      const { lines, isWhole } = await grep(vm, request);
      const matches = lines.map(({ path: file, line, text }) =>
        shortened(`${file}:${line}:${text}`, MAX_LINE_CHARS),
      );
      const text = [...matches, ...(isWhole ? [] : ["[... more matches ...]"])].join("\n");
      return { matches, truncated: !isWhole, text: shortened(text || "(no matches)", outputLimit) };
    },
  }),
};

const MAX_LINE_CHARS = 500;
