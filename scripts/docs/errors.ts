import ts from "typescript";
import { ERROR_DEFINITIONS, POSIX_DEFINITIONS } from "../../src/api/error-codes.ts";
import { docstringOf, parse, sourceFiles } from "./source.ts";

const ANY_METHOD = "Any method can raise it.";
const ANY_BOOT = "Any method that boots the VM can raise it.";

/** Sentence for each code that more methods raise than the documentation of single methods names. */
const GENERAL: ReadonlyMap<string, string> = new Map([
  ["invalid_argument", ANY_METHOD],
  ["unauthorized", ANY_METHOD],
  ["forbidden_origin", ANY_METHOD],
  ["limit_exceeded", ANY_METHOD],
  ["response_too_large", ANY_METHOD],
  ["vm_stopped", ANY_METHOD],
  ["call_lost", ANY_METHOD],
  ["connection_lost", ANY_METHOD],
  ["actor_not_found", ANY_METHOD],
  ["internal_error", ANY_METHOD],
  ["boot_failed", ANY_BOOT],
  ["storage_damaged", ANY_BOOT],
  ["storage_too_new", ANY_BOOT],
  ["not_supported", "Any method that needs the missing capability can raise it."],
  ["storage_failed", "Any method that stores something can raise it."],
]);

/** Makes docs/errors.md from the tables of codes and the `@throws` of the API's methods. */
export function errorsPage(): string {
  return `# Errors

<!-- Written by \`npm run docs\` from src/api/error-codes.ts. Do not edit. -->

Every error of the server and of the client is an \`AgentVmError\`. Its \`code\` is stable. Its \`message\` is for people and may
change. \`metadata\` has details, and \`metadata.hint\` a remedy if there is one. \`status\` is the HTTP status of a raw request.

## Codes of agent-vm

${section("ERROR_DEFINITIONS", ERROR_DEFINITIONS)}

## POSIX codes

Calls pass on codes of Linux as the kernel gave them.

${section("POSIX_DEFINITIONS", POSIX_DEFINITIONS)}
`;
}

function section(name: string, definitions: Record<string, { status: number; hint?: string }>): string {
  const meanings = meaningsOf(name);
  const raisers = raisersByCode();
  const entries = Object.entries(definitions).map(([code, { status, hint }]) => {
    const meaning = meanings.get(code);
    if (!meaning) throw new Error(`src/api/error-codes.ts: ${code} has no docstring`);
    const methods = [...(raisers.get(code) ?? [])].map((method) => `\`${method}\``).join(", ");
    const raised =
      GENERAL.get(code) ??
      (methods && `Raised by ${name === "POSIX_DEFINITIONS" ? "methods such as " : ""}${methods}.`);
    const lines = [`### ${code}`, "", `${meaning} HTTP status ${status}.`];
    if (hint !== undefined) lines.push("", `Hint: ${hint}`);
    if (raised !== "") lines.push("", raised);
    return lines.join("\n");
  });
  return entries.join("\n\n");
}

function meaningsOf(table: string): Map<string, string> {
  const meanings = new Map<string, string>();
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAssignment(node)) meanings.set(node.name.getText(), docstringOf(node).text);
    else ts.forEachChild(node, visit);
  };
  for (const statement of parse("src/api/error-codes.ts").statements.filter(ts.isVariableStatement)) {
    const [declaration] = statement.declarationList.declarations;
    if (declaration?.name.getText() === table) visit(declaration);
  }
  return meanings;
}

let raisers: Map<string, Set<string>> | undefined;

/** Finds, for each code, the API's methods whose docstring names it in `@throws`. */
function raisersByCode(): Map<string, Set<string>> {
  if (raisers) return raisers;
  const found = new Map<string, Set<string>>();
  const visit = (node: ts.Node): void => {
    if (ts.isMethodSignature(node) || ts.isPropertySignature(node) || ts.isPropertyAssignment(node)) {
      for (const tag of ts.getJSDocTags(node).filter(({ tagName }) => tagName.text === "throws")) {
        for (const [, code = ""] of tag.getText().matchAll(/`([A-Za-z_0-9]+)`/g)) {
          found.set(code, (found.get(code) ?? new Set()).add(node.name.getText()));
        }
      }
    }
    ts.forEachChild(node, visit);
  };
  for (const path of sourceFiles("src/api")) visit(parse(path));
  raisers = found;
  return found;
}
