import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import ts from "typescript";

/** An import between two files of `src`. Paths are relative to `src`. */
export interface SourceImport {
  from: string;
  to: string;
  /** Whether the compiler erases the import, so that it loads no code. */
  isType: boolean;
}

/** Returns the relative imports of a file. */
export function importsOf(sourceRoot: string, file: string): SourceImport[] {
  return specifiersOf(sourceRoot, file)
    .filter(({ text }) => text.startsWith("."))
    .map(({ text, isType }) => ({ from: file, to: normalize(join(dirname(file), text)), isType }));
}

/** Returns the specifiers of the packages that a file imports, Node's own modules included. */
export function packagesOf(sourceRoot: string, file: string): string[] {
  return specifiersOf(sourceRoot, file)
    .map(({ text }) => text)
    .filter((text) => !text.startsWith("."));
}

interface Specifier {
  text: string;
  isType: boolean;
}

/** Reads the imports, re-exports, `import()` calls and `import()` types of a file. */
function specifiersOf(sourceRoot: string, file: string): Specifier[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(sourceRoot, file), "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  const found: Specifier[] = [];
  const add = (specifier: ts.Node | undefined, isType: boolean) => {
    if (specifier !== undefined && ts.isStringLiteralLike(specifier))
      found.push({ text: specifier.text, isType });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeImport(node));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isTypeImport({ importClause }: ts.ImportDeclaration): boolean {
  if (importClause === undefined) return false;
  if (importClause.isTypeOnly) return true;
  const { name, namedBindings } = importClause;
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every((element) => element.isTypeOnly);
}
