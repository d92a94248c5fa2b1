import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const SOURCE = join(import.meta.dirname, "../../src");

/** Returns the expressions that make an error with the code `limit_exceeded`, each with its metadata. */
function limitErrors(file: string): { place: string; metadata: ts.Expression | undefined }[] {
  const text = readFileSync(join(SOURCE, file), "utf8");
  if (!text.includes('"limit_exceeded"')) return [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found: { place: string; metadata: ts.Expression | undefined }[] = [];
  const visit = (node: ts.Node): void => {
    const [code, , metadata] = ts.isNewExpression(node) ? (node.arguments ?? []) : [];
    if (code !== undefined && ts.isStringLiteral(code) && code.text === "limit_exceeded") {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart());
      found.push({ place: `src/${file}:${line + 1}`, metadata });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function namesLimit(metadata: ts.Expression | undefined): boolean {
  if (metadata === undefined || !ts.isObjectLiteralExpression(metadata)) return false;
  return metadata.properties.some(({ name }) => name?.getText() === "limit");
}

test("every limit_exceeded names its limit in metadata.limit", () => {
  const found = globSync("**/*.{ts,tsx}", { cwd: SOURCE }).flatMap(limitErrors);
  expect(found.filter(({ metadata }) => !namesLimit(metadata)).map(({ place }) => place)).toEqual([]);
  expect(found.map(({ place }) => place.replace(/:\d+$/, ""))).toContain("src/api/errors.ts");
});
