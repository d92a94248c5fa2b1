import type { Argument, Command, Option } from "commander";
import { factsOf, pathOf } from "../../src/cli/commands/command.ts";
import { EXIT_CODES } from "../../src/cli/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { table } from "./source.ts";

/** Heading of the options that name a server. */
const SERVER = "Server options:";

/** Makes docs/cli.md from the definitions of the commands. */
export function cliPage(): string {
  const program = buildProgram();
  const groups = new Map<string, Command[]>();
  for (const command of program.commands) {
    const heading = command.helpGroup().replace(/:$/, "");
    groups.set(heading, [...(groups.get(heading) ?? []), command]);
  }
  const sections = [...groups].map(([heading, commands]) => {
    const parts = commands.flatMap(leavesOf).map(section);
    return `## ${heading}\n\n${parts.join("\n\n")}`;
  });
  return `# Command line

<!-- Written by \`npm run docs\` from src/cli/. Do not edit. -->

\`agent-vm\` starts a server, and works with the VMs of any server. \`agent-vm COMMAND --help\` prints the same options and examples.
In a clone of the repository, \`npm run -s agent-vm -- COMMAND\` takes the place of \`npx agent-vm COMMAND\`.

- **KEY** is the key of a VM. Its parts have slashes between: \`team/alice\`. A backslash takes the next character as it is: \`a\\/b\` is one
  part. A command never makes a VM by mistake: \`create\` does.
- **KEY:PATH** is a path in a VM. A path that does not begin with \`/\` begins at \`/home/agentos\`. A path that begins with \`.\`, \`/\` or \`~\` is of
  this machine.
- \`--json\` prints one JSON value, or one value a line where a command prints again and again. An error is then
  \`{"error":{"code","message","metadata","hint"}}\` on stderr. [errors.md](errors.md) lists the codes.
- A table fits the terminal. In a pipe its lines have tabs between the cells, no titles, and nothing is cut off. Notes and progress appear on a
  terminal only. \`NO_COLOR\` turns colours off.
- A script is never asked. A command that would ask exits with 2 and names the option that answers.
- Names, titles and logs that a VM has written are printed with their control characters escaped. \`exec\`, \`run\`, \`shell\` and \`cat\` pass bytes on as
  they are, and so does \`logs\` in a pipe.

## Servers

The server is, in this order: \`--endpoint\`, \`--context\`, \`AGENT_VM_ENDPOINT\`, \`AGENT_VM_CONTEXT\`, the context that \`agent-vm context use\` has chosen,
\`http://localhost:6420\`. The token is \`--token\`, else the token of the context, else \`AGENT_VM_TOKEN\`. The token of a context goes to no other endpoint.
Commands ignore the client's variables \`RIVET_ENDPOINT\`, \`RIVET_ENGINE\` and \`RIVET_TOKEN\`.
Contexts are in \`agent-vm/config.json\` below \`XDG_CONFIG_HOME\`, by default \`~/.config\`.

Every command that talks to a server has these options:

${optionTable([...(program.options as Option[])].filter((option) => option.helpGroupHeading === SERVER || option.long === "--json"))}

## Exit codes

${table(["code", "meaning"], EXIT_CODES)}

${sections.join("\n\n")}
`;
}

/** The commands that do something: a command, or the subcommands of a group. */
function leavesOf(command: Command): Command[] {
  return factsOf(command) === undefined ? command.commands.flatMap(leavesOf) : [command];
}

function section(command: Command): string {
  const { examples, notes } = factsOf(command) ?? { examples: [] };
  const path = pathOf(command);
  const own = command.options.filter(
    (option) => option.helpGroupHeading !== SERVER && option.long !== "--json",
  );
  const usage = [
    "agent-vm",
    path,
    ...(own.length > 0 ? ["[options]"] : []),
    ...command.registeredArguments.map(usageOf),
  ];
  const lines = examples.map(([line, effect]) => `# ${effect}\nagent-vm ${line}`);
  return [
    `### ${path}`,
    `\`${usage.join(" ")}\``,
    `${sentence(command.description())}${notes === undefined ? "" : ` ${notes}`}`,
    ...(own.length > 0 ? [optionTable(own)] : []),
    `\`\`\`sh\n${lines.join("\n")}\n\`\`\``,
  ].join("\n\n");
}

function optionTable(options: readonly Option[]): string {
  return table(
    ["option", "meaning"],
    options.map(({ flags, description, argChoices, mandatory, defaultValue }) => [
      `\`${flags}\``,
      [
        description,
        argChoices === undefined ? "" : ` (${argChoices.join(", ")})`,
        defaultValue === undefined || typeof defaultValue === "boolean"
          ? ""
          : ` (default: ${String(defaultValue)})`,
        mandatory ? " (required)" : "",
      ].join(""),
    ]),
  );
}

function usageOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
