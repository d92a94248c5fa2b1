import { type Catalog, type CatalogFunction, type CatalogGroup, MAIN_PROGRAM } from "./catalog.ts";
import type { Flag } from "./flags.ts";
import { MAX_HOST_INSTRUCTIONS_LENGTH } from "./limits.ts";

const KINDS = { string: "TEXT", number: "NUMBER", boolean: "", any: "JSON" } as const;

/** Flags that every host function has. */
const COMMON: readonly [string, string][] = [
  ["--json JSON", "the whole input as JSON"],
  ["--json-file PATH", "the whole input from a file, or from stdin for -"],
  ["--help", "this text"],
];

/** Help of `agentos`. */
export function mainHelp(catalog: Catalog): string {
  return [
    `Functions of this machine's host, which run outside of it.`,
    "",
    ...rows([
      [`${MAIN_PROGRAM} list-host-functions [NAME]`, "lists them as JSON; list-bindings is the same"],
      [`${MAIN_PROGRAM} mcp`, "serves them as tools of the Model Context Protocol, on stdin and stdout"],
      ...[...catalog.groups.values()].map(({ program, description }): [string, string] => [
        `${program} --help`,
        description,
      ]),
    ]),
  ].join("\n");
}

/** Help of `agentos-NAME`. */
export function groupHelp({ program, description, functions }: CatalogGroup): string {
  return [
    ...(description === "" ? [] : [description, ""]),
    `Usage: ${program} FUNCTION [FLAGS]`,
    "",
    "Functions:",
    ...rows([...functions.values()].map(({ name, description }) => [name, description])),
    "",
    `${program} FUNCTION --help lists its flags.`,
  ].join("\n");
}

/** Help of `agentos-NAME FUNCTION`. */
export function functionHelp(called: CatalogFunction): string {
  const { description, flags, examples } = called;
  return [
    ...(description === "" ? [] : [description, ""]),
    `Usage: ${usage(called)}`,
    "",
    "Flags:",
    ...rows([...flags.map((flag): [string, string] => [spelling(flag), meaning(flag)]), ...COMMON]),
    ...(examples.length === 0 ? [] : ["", "Examples:"]),
    ...examples.flatMap(({ description, input }) => [
      ...(description === undefined ? [] : [`  # ${description}`]),
      `  ${commandOf(called)} --json '${JSON.stringify(input).replaceAll("'", "'\\''")}'`,
    ]),
  ].join("\n");
}

/** The host functions for the instructions of agents; `undefined` if there is no function. */
export function hostInstructions(catalog: Catalog): string | undefined {
  if (catalog.isEmpty) return undefined;
  const lines = [
    "## Host functions",
    "",
    "These programs call functions of this machine's host, which run outside of it. They print",
    '{"ok":true,"result":...}, or exit with 1 and a message on stderr. `--help` describes the flags.',
    "",
  ];
  let length = lines.join("\n").length;
  for (const group of catalog.groups.values()) {
    const whole = [...group.functions.values()].map(
      (called) => `- \`${usage(called)}\`${called.description === "" ? "" : `: ${called.description}`}`,
    );
    const wholeLength = whole.reduce((sum, line) => sum + line.length + 1, 0);
    const fits = length + wholeLength <= MAX_HOST_INSTRUCTIONS_LENGTH;
    const added = fits ? whole : [`- \`${group.program} --help\`: ${group.description}`.slice(0, 120)];
    lines.push(...added);
    length += added.join("\n").length + 1;
  }
  return lines.join("\n");
}

/** The command of a function, for people and agents. */
export function commandOf({ group, name }: CatalogFunction): string {
  return `${MAIN_PROGRAM}-${group} ${name}`;
}

function usage(called: CatalogFunction): string {
  const flags = called.flags.map((flag) => (flag.isRequired ? spelling(flag) : `[${spelling(flag)}]`));
  return [commandOf(called), ...flags].join(" ");
}

function spelling({ name, kind, choices, isArray }: Flag): string {
  if (kind === "boolean") return `--[no-]${name}`;
  const value = choices === undefined ? KINDS[kind] : choices.join("|");
  return `--${name} ${value}${isArray ? " ..." : ""}`;
}

function meaning({ description, isRequired, isArray, default: standard }: Flag): string {
  const facts = [
    ...(isRequired ? ["required"] : []),
    ...(isArray ? ["may be repeated"] : []),
    ...(standard === undefined ? [] : [`default ${standard}`]),
  ];
  const note = facts.length === 0 ? "" : `(${facts.join(", ")})`;
  return [description, note].filter(Boolean).join(" ");
}

function rows(entries: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(36, Math.max(0, ...entries.map(([name]) => name.length)));
  return entries.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`.trimEnd());
}
