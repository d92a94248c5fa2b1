import { expect, test } from "vitest";
import { sentencesOf } from "../../scripts/prose/sentences.ts";

const textsOf = (path: string, text: string) => sentencesOf(path, text).map((sentence) => sentence.text);

test("finds a program's comments, but no text in templates, strings and regular expressions", () => {
  const program = [
    "/**",
    " * Reads a file. Yields `what` it",
    " * has read.",
    " *",
    " * @param path of the file",
    " */",
    "const pattern = /\\/\\/ none/g;",
    'const url = "http://a.example"; // Trailing.',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the template is the program's
    "const text = `${{ a: 1 / 2 }.a /* Inside. */} // none`;",
    "// One comment",
    "// on two lines.",
    "export {};",
    "",
  ].join("\n");
  expect(textsOf("a.ts", program)).toEqual([
    "Reads a file.",
    "Yields x it has read.",
    "path of the file",
    "Trailing.",
    "Inside.",
    "One comment on two lines.",
  ]);
});

test("finds the comments of a page, but no text that its elements show", () => {
  const page = [
    "/** Shows a file. */",
    "export const File = () => (",
    "  // Inside.",
    "  <p title={name /* Its name. */}>",
    "    It's at http://a.example // none and `none",
    "    {/* A child. */}",
    "  </p>",
    ");",
    "// The end.",
    "",
  ].join("\n");
  expect(textsOf("a.tsx", page)).toEqual(["Shows a file.", "Inside.", "Its name.", "A child.", "The end."]);
});

test("finds a document's paragraphs, items and cells, but no code, headings and link targets", () => {
  const document = [
    "# What it is",
    "A [link](what.md) and `code`",
    "go on. Next:",
    "",
    "- an item",
    "```ts",
    "// none",
    "```",
    "| a | b |",
    "|---|---|",
    "| c | d. e |",
  ].join("\n");
  expect(sentencesOf("a.md", document)).toEqual([
    { line: 2, text: "A [link] and x go on." },
    { line: 2, text: "Next:" },
    { line: 5, text: "an item" },
    { line: 9, text: "a" },
    { line: 9, text: "b" },
    { line: 11, text: "c" },
    { line: 11, text: "d." },
    { line: 11, text: "e" },
  ]);
});
