import process from "node:process";
import { type Command, Option } from "commander";
import { printable } from "../../base/printable.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { ActionFailure } from "../exit-codes.ts";
import { jsonLine } from "../out.ts";
import { assumeSize, endWithReader } from "../terminal/streams.ts";

/** Facts of a command that its help and docs/cli.md show. */
interface CommandFacts {
  /** Command lines without the name of the program, each with what it does. */
  examples: readonly (readonly [line: string, effect: string])[];
  /** Sentences for docs/cli.md and the help. */
  notes?: string;
  /** Whether the parent runs the command if no other subcommand is named. @default false */
  isDefault?: boolean;
}

/** Facts of commands. Commander's objects have no place for them. */
const FACTS = new WeakMap<Command, CommandFacts & { needsServer: boolean }>();

/** Width of the help's paragraphs. */
const HELP_WIDTH = 80;

/** Returns the examples and notes of a command. @internal exported for the page of the command line */
export function factsOf(command: Command): CommandFacts | undefined {
  return FACTS.get(command);
}

/** Adds a command that needs no server. */
export function localCommand(parent: Command, usage: string, summary: string, facts: CommandFacts): Command {
  return addCommand(parent, usage, summary, { ...facts, needsServer: false });
}

/** Adds a command that talks to a server. `finish` adds the common options. */
export function serverCommand(parent: Command, usage: string, summary: string, facts: CommandFacts): Command {
  return addCommand(parent, usage, summary, { ...facts, needsServer: true });
}

function addCommand(
  parent: Command,
  usage: string,
  summary: string,
  facts: CommandFacts & { needsServer: boolean },
): Command {
  const { examples, notes, isDefault = false } = facts;
  const command = parent.command(usage, { isDefault }).description(summary);
  FACTS.set(command, facts);
  const lines = examples.map(([line, effect]) => `  agent-vm ${line}\n      ${effect}`);
  command.addHelpText("after", ({ command: helped }) => {
    const paragraph = notes === undefined ? "" : `\n${helped.createHelp().boxWrap(notes, HELP_WIDTH)}\n`;
    return `${paragraph}\nExamples:\n${lines.join("\n")}`;
  });
  return withShortErrors(command);
}

/** Makes the parser report wrong arguments in one line that names the help, or as JSON. */
export function withShortErrors(command: Command): Command {
  const help = `See \`${["agent-vm", pathOf(command), "--help"].filter(Boolean).join(" ")}\`.`;
  return command.showHelpAfterError(false).configureOutput({
    outputError: (text, print) => {
      const message = printable(
        text
          .trim()
          .replace(/^error: /, "")
          .replace(/\s*\n\s*/g, " "),
      );
      if (asksForJson(process.argv))
        print(`${jsonLine({ error: { code: "invalid_argument", message, hint: help } })}\n`);
      else print(`agent-vm: ${message}${/[.?)]$/.test(message) ? "" : "."} ${help}\n`);
    },
  });
}

/** Whether the arguments have `--json`. The parser that reports a wrong argument may not have come to it. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? undefined : end).includes("--json");
}

/** Adds the common options to a command and all below it, behind their own options. */
export function finish(command: Command): void {
  if (FACTS.get(command)?.needsServer) withServer(withJson(command));
  for (const child of command.commands) finish(child);
}

/** Adds the options that name a server. */
export function withServer(command: Command): Command {
  const heading = "Server options:";
  return command
    .addOption(new Option("--endpoint <url>", "URL of the server, or AGENT_VM_ENDPOINT").helpGroup(heading))
    .addOption(new Option("--token <token>", "token for the server, or AGENT_VM_TOKEN").helpGroup(heading))
    .addOption(new Option("--context <name>", "server of `agent-vm context`").helpGroup(heading));
}

export function withJson(command: Command): Command {
  return command.option("--json", "print JSON: one value, or one value a line");
}

/** Adds a command that only has subcommands. */
export function group(parent: Command, name: string, summary: string): Command {
  return withShortErrors(parent.command(name).description(summary));
}

/** The words of a command after the name of the program. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(" ");
}

/** An action with its arguments and options, as the command line gives them. */
type Action = (cli: Cli, ...given: never[]) => Promise<void>;

/**
 * Makes the handler of a command. It loads the action when the command runs, closes the client behind it, and ends the program
 * as soon as the output is written.
 *
 * @param options `notRun`: exit code of all failures
 */
export function does(load: () => Promise<Action>, options: { notRun?: number } = {}) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const common = command.optsWithGlobals<CommonOptions>();
    endWithReader();
    assumeSize();
    try {
      const [{ Cli: Opened }, action] = await Promise.all([import("../cli.ts"), load()]);
      const cli = new Opened(common);
      try {
        await (action as (cli: Cli, ...given: unknown[]) => Promise<void>)(
          cli,
          ...given.slice(0, -2),
          command.opts(),
        );
      } finally {
        await cli.dispose();
      }
    } catch (error) {
      throw new ActionFailure(error, { json: common.json ?? false, notRun: options.notRun });
    }
    await written();
    process.exit();
  };
}

/** Resolves when all output has been written. */
async function written(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => void stream.write("", () => resolve())),
    ),
  );
}
