import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { vmLimitRows, vmOptionRows } from "./options.ts";
import { docstringOf, parse, ROOT, shown, sourceFiles, table, unitOf } from "./source.ts";

interface Limit {
  name: string;
  value: number;
  unit: string;
  what: string;
  past: string;
  codes: string[];
}

/** Headings of the rooms, in the order of the page. Any other room has its folder as heading. */
const HEADINGS: Readonly<Record<string, string>> = {
  "src/api": "API and wire",
  "src/client": "Client",
  "src/actors": "Actor",
  "src/http": "HTTP server",
  "src/rivet": "RivetKit",
};

/** Makes docs/limits.md from the docstrings of all constants that have `@unit`. */
export function limitsPage(): string {
  const rooms = new Map<string, Limit[]>();
  for (const path of sourceFiles()) {
    const limits = limitsOf(path);
    const room = roomOf(path);
    if (limits.length > 0) rooms.set(room, [...(rooms.get(room) ?? []), ...limits]);
  }
  const order = [...new Set([...Object.keys(HEADINGS), ...rooms.keys()])].filter((room) => rooms.has(room));
  const sections = order.map((room) => {
    const rows = (rooms.get(room) ?? []).map((limit) => [
      `\`${limit.name}\``,
      shown(limit.value),
      unitOf(limit),
      limit.what,
      limit.past,
      limit.codes.map((code) => `[\`${code}\`](errors.md#${code.toLowerCase()})`).join(", "),
    ]);
    return `## ${HEADINGS[room] ?? `\`${room}\``}\n\n${table(["name", "value", "unit", "bounds", "past it", "code"], rows)}`;
  });
  return `# Limits

<!-- Written by \`npm run docs\` from the comments in src. Do not edit. -->

Every limit that a user can meet. The last column is the \`code\` of the error. \`limit_exceeded\` names the limit in
\`metadata.limit\` and its value in \`metadata.value\`.

## Limits of a VM

Set them with \`vmActor({ limits: { ... } })\`: see [configuration.md](configuration.md).

${table(["name", "default", "unit", "from", "to", "bounds", "past it", "code"], vmLimitRows())}

No limit ends a process for the CPU time that it has used.

## Options of a VM

Set them with \`vmActor({ ... })\`. [configuration.md](configuration.md) explains them.

${table(["option", "default", "from", "to", "meaning"], vmOptionRows())}

${sections.join("\n\n")}

The kernel limits a name in a path to 255 bytes (\`ENAMETOOLONG\`).
`;
}

function roomOf(path: string): string {
  const parts = dirname(path).split("/");
  return parts.slice(0, parts[1] === "runtime" ? (parts[2] === "sandbox" ? 4 : 3) : 2).join("/");
}

function limitsOf(path: string): Limit[] {
  const file = parse(path);
  const limits: Limit[] = [];
  for (const statement of file.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    const { text, tags } = docstringOf(statement);
    const unit = tags.get("unit");
    if (unit === undefined) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      limits.push({
        name: name.getText(),
        value: evaluate(initializer, file),
        unit,
        what: text,
        past: tags.get("past") ?? "",
        codes: (tags.get("code") ?? "").split(", ").filter(Boolean),
      });
    }
  }
  return limits;
}

/** Evaluates a constant expression of numbers, and of constants of its file or of a file that it imports. */
function evaluate(node: ts.Expression | undefined, file: ts.SourceFile): number {
  if (node !== undefined && ts.isNumericLiteral(node)) return Number(node.text);
  if (node !== undefined && ts.isBinaryExpression(node)) {
    const left = evaluate(node.left, file);
    const right = evaluate(node.right, file);
    if (node.operatorToken.kind === ts.SyntaxKind.AsteriskToken) return left * right;
    if (node.operatorToken.kind === ts.SyntaxKind.MinusToken) return left - right;
    if (node.operatorToken.kind === ts.SyntaxKind.PlusToken) return left + right;
  }
  if (node !== undefined && ts.isIdentifier(node)) {
    for (const statement of file.statements.filter(ts.isVariableStatement)) {
      const found = statement.declarationList.declarations.find(({ name }) => name.getText() === node.text);
      if (found) return evaluate(found.initializer, file);
    }
    for (const statement of file.statements.filter(ts.isImportDeclaration)) {
      const names = statement.importClause?.namedBindings;
      if (names === undefined || !ts.isNamedImports(names) || !ts.isStringLiteral(statement.moduleSpecifier))
        continue;
      const isNamed = names.elements.some(({ name }) => name.text === node.text);
      if (isNamed)
        return evaluate(
          node,
          parse(relative(ROOT, join(dirname(file.fileName), statement.moduleSpecifier.text))),
        );
    }
  }
  throw new Error(
    `${file.fileName}: a limit with \`@unit\` must be a constant number, not ${node?.getText()}`,
  );
}
