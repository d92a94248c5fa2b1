import ts from "typescript";
import type { AnyMethod } from "../../src/api/methods/method.ts";
import { rowOf } from "../../src/api/methods/table.ts";
import { sufficientRights } from "../../src/api/rights.ts";
import { docstringOf, parse, table } from "./source.ts";

/** The domains of the method table, in the order of the page: the file's name and the heading. */
const DOMAINS = {
  files: "Files",
  processes: "Processes",
  services: "Services",
  shells: "Shells",
  recordings: "Recordings",
  snapshots: "Durable files",
  watches: "File watches",
  network: "Network",
  "network-requests": "Questions of the outbound policy",
  previews: "Previews",
  secrets: "Secrets",
  cron: "Cron jobs",
  sessions: "Agent sessions",
  mounts: "Mounts",
  machine: "Life of a VM",
  transport: "Transport",
} as const;

/** Words for the facts of a method. */
const FACTS = {
  boots: "boots",
  reads: "reads",
  long: "long",
  signal: "signal",
  nullable: "nullable",
} as const satisfies Partial<Record<keyof AnyMethod, string>>;

/** Makes docs/methods.md from the method table. */
export function methodsPage(): string {
  const sections = Object.entries(DOMAINS).map(([file, title]) => `## ${title}\n\n${section(file)}`);
  return `# Methods

<!-- Written by \`npm run docs\` from src/api/methods/. Do not edit. -->

Every method of a VM's handle and connection. Editors show the whole documentation of a method, its parameters and its
errors. The facts are:

- **boots**: boots a VM that is not up.
- **reads**: changes no file, process or record of the VM.
- **long**: may take longer than an HTTP request lives, so this package's client sends it over a connection.
- **signal**: this package's client takes \`{ signal }\` behind the last argument.
- **nullable**: \`null\` is a result.

The column **right** names what a [token](tokens.md) needs. "any" stands for any right. The right \`admin\` suffices for every method.

The methods under "Transport" carry this package's client. They stay on the wire and are not offered on its handles.

${sections.join("\n\n")}
`;
}

function section(file: string): string {
  const rows: string[][] = [];
  const visit = (node: ts.Node): void => {
    const row = ts.isPropertyAssignment(node) ? rowOf(node.name.getText()) : undefined;
    if (!row || !ts.isPropertyAssignment(node)) {
      ts.forEachChild(node, visit);
      return;
    }
    const name = node.name.getText();
    const facts = Object.entries(FACTS).filter(([fact]) => row[fact as keyof typeof FACTS]);
    rows.push([
      signatureOf(name, row),
      summaryOf(name, node),
      facts.map(([, word]) => word).join(", "),
      rightOf(row),
    ]);
  };
  const tables = parse(`src/api/methods/${file}.ts`)
    .statements.filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => declarationList.declarations)
    .filter(({ name }) => name.getText().endsWith("_METHODS"));
  for (const declaration of tables) visit(declaration);
  return table(["method", "description", "facts", "right"], rows);
}

function rightOf(row: AnyMethod): string {
  return sufficientRights(row)
    .map((right) => (right === "any" ? right : `\`${right}\``))
    .join(" or ");
}

function signatureOf(name: string, { input }: AnyMethod): string {
  const isOptional = (index: number) => input.optional[index];
  return `\`${name}(${input.names.map((argument, index) => `${argument}${isOptional(index) ? "?" : ""}`).join(", ")})\``;
}

/** The first sentence of a row's documentation. */
function summaryOf(name: string, node: ts.Node): string {
  const { text } = docstringOf(node);
  if (text === "") throw new Error(`src/api/methods: ${name} has no docstring`);
  return /^.*?[.](?= [A-Z`]|$)/.exec(text)?.[0] ?? text;
}
