import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const files = globSync(["src/api/**/*.ts", "src/client/**/*.ts", "src/runtime/*options.ts"], {
  cwd: ROOT,
}).filter((path) => !/transport\.ts$|client\/rivet\//.test(path));

interface Documented {
  name: string;
  type: string;
  isOptional: boolean;
  doc: string;
}

const docOf = (node: ts.Node) =>
  ts
    .getJSDocCommentsAndTags(node)
    .map((part) => part.getText())
    .join(" ");

function fieldsOf(path: string): Documented[] {
  const text = readFileSync(join(ROOT, path), "utf8");
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const isExported = (node: ts.InterfaceDeclaration) =>
    node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
  const interfaces = source.statements.filter(ts.isInterfaceDeclaration).filter(isExported);
  return interfaces.flatMap(({ name, members }) =>
    members.filter(ts.isPropertySignature).map((member) => ({
      name: `${name.text}.${member.name.getText()}`,
      type: member.type?.getText() ?? "",
      isOptional: member.questionToken !== undefined,
      doc: docOf(member),
    })),
  );
}

/** Returns the rows of the tables of methods. */
function methodsOf(path: string): Documented[] {
  const text = readFileSync(join(ROOT, path), "utf8");
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: Documented[] = [];
  const visit = (node: ts.Node): void => {
    const [, type = ""] = /^\w*method<\s*(\(.*?\)) =>/is.exec(node.getText()) ?? [];
    if (ts.isCallExpression(node) && ts.isPropertyAssignment(node.parent) && type !== "") {
      const name = node.parent.name.getText();
      found.push({ name, type, isOptional: false, doc: docOf(node.parent) });
    } else ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const fields = files.flatMap(fieldsOf);

/** Fields whose name has the unit, or is the name of a number that everybody knows. */
const KNOWN = /Ms$|Seconds$|Bytes$|\bp?pid$|Pid$|\.(uid|gid|port|mode|bits|exitCode)$/;
/** A unit, or the word for a number of things. */
const UNIT =
  /\b(milliseconds|seconds|bytes?|MiB|characters|columns|rows|lines|levels|chunks?|CPUs|percent|numbers?|count|port|status|last)\b|@unit/i;

test("every number of an exported interface has a unit", () => {
  const numbers = fields.filter(({ type }) => /^number( \| (null|undefined))?$/.test(type));
  expect(numbers.length).toBeGreaterThan(100);
  const bare = numbers.filter(({ name, doc }) => !KNOWN.test(name) && !UNIT.test(doc));
  expect(bare.map(({ name, doc }) => `${name}: ${doc}`)).toEqual([]);
});

test("every optional field of options says what its absence means", () => {
  const options = fields.filter(({ name, isOptional }) => isOptional && /^\w*(Options|Policy)\./.test(name));
  expect(options.length).toBeGreaterThan(100);
  const bare = options.filter(({ doc }) => !/\bdefault\b|\bwithout\b/i.test(doc));
  expect(bare.map(({ name, doc }) => `${name}: ${doc}`)).toEqual([]);
});

test("every method with arguments names its errors", () => {
  const methods = files.filter((path) => path.startsWith("src/api/methods/")).flatMap(methodsOf);
  expect(methods.length).toBeGreaterThan(100);
  const bare = methods.filter(({ type, doc }) => type !== "()" && !doc.includes("@throws"));
  expect(bare.map(({ name }) => name)).toEqual([]);
});
