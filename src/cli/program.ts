import process from "node:process";
import { Command, CommanderError } from "commander";
import { packageVersion } from "../base/package-version.ts";
import { addAccessCommands } from "./commands/access.ts";
import { finish, localCommand, withJson, withServer, withShortErrors } from "./commands/command.ts";
import { addCronCommands } from "./commands/cron.ts";
import { addFileCommands } from "./commands/files.ts";
import { addNetworkCommands } from "./commands/network.ts";
import { addProcessCommands } from "./commands/processes.ts";
import { addServerCommands } from "./commands/server.ts";
import { addSessionCommands } from "./commands/sessions.ts";
import { addSnapshotCommands } from "./commands/snapshots.ts";
import { addVmCommands } from "./commands/vms.ts";
import { ActionFailure, EXIT, UsageError } from "./exit-codes.ts";

/** Groups of commands, with their headings in the help. */
const GROUPS: readonly (readonly [heading: string, add: (program: Command) => void])[] = [
  ["Server:", addServerCommands],
  ["VMs:", addVmCommands],
  ["Processes:", addProcessCommands],
  ["Files:", addFileCommands],
  ["Snapshots:", addSnapshotCommands],
  ["Network:", addNetworkCommands],
  ["Cron jobs:", addCronCommands],
  ["Agents:", addSessionCommands],
  ["Access:", addAccessCommands],
];

/** Makes the command line. Each command loads its module when it runs, so that help and errors load no server. */
export function buildProgram(): Command {
  const program = new Command("agent-vm")
    .description("A real Linux machine for every AI agent.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride();
  withShortErrors(program);
  for (const [heading, add] of GROUPS) {
    program.commandsGroup(heading);
    add(program);
  }
  finish(program);
  addHelpCommand(program);
  withServer(withJson(program));
  return program.addHelpText(
    "after",
    "\n`agent-vm COMMAND --help` shows options and examples. docs/cli.md has everything.",
  );
}

/** Adds a command that prints the help of another. The parser's own one answers an unknown name with the general help. */
function addHelpCommand(program: Command): void {
  const facts = { examples: [["help net policy", "Print the help of `net policy`."]] } as const;
  localCommand(program, "help [command...]", "print the help of a command", facts).action(
    (names: string[]) => {
      let command = program;
      for (const name of names) {
        const found = command.commands.find((each) => each.name() === name || each.aliases().includes(name));
        command = found ?? program.error(`unknown command '${names.join(" ")}'`);
      }
      command.help();
    },
  );
}

/** Runs the command that the program's arguments name. Without arguments it prints the help. */
export async function runProgram(): Promise<void> {
  const program = buildProgram();
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync().catch(exitWith);
}

/** Prints in one line why a command failed, without a stack. Commander has printed its own errors already. */
async function exitWith(error: unknown): Promise<never> {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : EXIT.usage);
  const isAction = error instanceof ActionFailure;
  const cause = isAction ? error.cause : error;
  const { failureJson, failureLine } = await import("./hints.ts");
  process.stderr.write(isAction && error.json ? failureJson(cause) : failureLine(cause));
  if (isAction) process.exit(error.exitCode);
  process.exit(cause instanceof UsageError ? EXIT.usage : EXIT.failed);
}
