import ts from "typescript";
import { parse, sourceFiles } from "./source.ts";

const MARK = /^\/\/ @module-tag attack$/m;

/** Headings of the page, by the beginning of a test file's path. The first that fits wins. */
const HEADINGS: readonly (readonly [string, string])[] = [
  ["test/runtime/sandbox/kernel/files/", "Files that the server opens"],
  ["test/runtime/tar/", "Archives"],
  ["test/runtime/sandbox/", "Code in a VM against the host"],
  ["test/runtime/sessions/", "Agents against the server"],
  ["test/runtime/network/outbound/", "The way out of a VM"],
  ["test/runtime/network/", "The way into a VM"],
  ["test/runtime/", "Code in a VM against its own server"],
  ["test/end-to-end/preview", "Previews"],
  ["test/", "Clients, web pages and network peers"],
];

/** Makes docs/attacks.md from the titles of the tests in files that have the tag `attack`. */
export function attacksPage(): string {
  const sections = new Map(HEADINGS.map(([, heading]) => [heading, [] as string[]]));
  let count = 0;
  for (const path of sourceFiles("test").sort()) {
    const source = parse(path);
    if (!path.endsWith(".test.ts") || !MARK.test(source.text)) continue;
    const titles = titlesOf(source);
    const [, heading = ""] = HEADINGS.find(([start]) => path.startsWith(start)) ?? [];
    count += titles.length;
    sections.get(heading)?.push(`\`${path}\`\n\n${titles.map((title) => `- ${title}`).join("\n")}`);
  }
  const text = [...sections].filter(([, files]) => files.length > 0);
  return `# Tested attacks

<!-- Written by \`npm run docs\` from the tests with the tag \`attack\`. Do not edit. -->

The suite attacks real servers and VMs in ${count} tests and tables of tests. Each title states the behaviour that holds. \`%s\` stands for
the row of a table. [security.md](security.md) has the threat model.

${text.map(([heading, files]) => `## ${heading}\n\n${files.join("\n\n")}`).join("\n\n")}
`;
}

/** Titles of all tests of a file, each behind the titles of the groups around it. */
function titlesOf(source: ts.SourceFile): string[] {
  const titles: string[] = [];
  const visit = (node: ts.Node, group: string): void => {
    const [title] = ts.isCallExpression(node) ? node.arguments : [];
    const name = title && ts.isCallExpression(node) ? rootOf(node.expression) : "";
    const text = title ? textOf(title) : "";
    const within = text !== "" && name === "describe" ? `${group}${text}: ` : group;
    if (text !== "" && (name === "test" || name === "testRows")) titles.push(group + text);
    ts.forEachChild(node, (child) => visit(child, within));
  };
  visit(source, "");
  return titles;
}

/** The name at the beginning of `test(title)`, `test.each(rows)(title)` or `testRows(rows, 3)(title)`. */
function rootOf(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  if (ts.isPropertyAccessExpression(callee) || ts.isCallExpression(callee)) return rootOf(callee.expression);
  return "";
}

function textOf(title: ts.Expression): string {
  if (ts.isStringLiteralLike(title)) return escaped(title.text);
  if (!ts.isTemplateExpression(title)) return "";
  const spans = title.templateSpans.map(({ literal }) => `%s${literal.text}`);
  return escaped(title.head.text + spans.join(""));
}

function escaped(text: string): string {
  return text.replaceAll(/([<>*_|])/g, "\\$1");
}
