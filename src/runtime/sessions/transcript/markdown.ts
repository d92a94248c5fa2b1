import { printable } from "../../../base/printable.ts";

/**
 * Text of one code block in a transcript as Markdown.
 * @unit characters
 * @past The rest is left out. The transcript as JSON has it.
 */
const MAX_SHOWN_TEXT = 1024 * 1024;

/** Characters of a title in a heading. */
const MAX_TITLE = 200;

/**
 * Makes a code block, which its content cannot leave: its fence is longer than any run of backticks in it.
 *
 * @param language language of the content, for highlighting
 */
export function codeBlock(language: "text" | "json" | "diff", content: string): string {
  const shown = content
    .slice(0, MAX_SHOWN_TEXT)
    .replaceAll("\r\n", "\n")
    .replace(/[^\n\t]+/g, printable);
  const fence = "`".repeat(Math.max(3, longestRun(shown) + 1));
  const left = content.length - MAX_SHOWN_TEXT;
  const note = left > 0 ? `\n(${left} more characters are left out.)\n` : "";
  return `${fence}${language}\n${shown}${shown.endsWith("\n") ? "" : "\n"}${fence}\n${note}`;
}

/** Makes a code span of one line, which its content cannot leave. */
export function codeSpan(content: string): string {
  const line = printable(content.length > MAX_TITLE ? `${content.slice(0, MAX_TITLE)}…` : content);
  const fence = "`".repeat(longestRun(line) + 1);
  return `${fence} ${line} ${fence}`;
}

function longestRun(text: string): number {
  let longest = 0;
  for (const [run] of text.matchAll(/`+/g)) longest = Math.max(longest, run.length);
  return longest;
}
