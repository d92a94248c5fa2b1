import process from "node:process";
import { Command, CommanderError } from "commander";
import { AgentVmError } from "../api/errors.ts";
import { packageVersion } from "../base/package-version.ts";

const USAGE_ERROR = 2;

const DATA_HELP = "data folder (default: AGENT_VM_DATA, else the folder that serve uses)";

const program = new Command("agent-vm")
  .description("A real Linux machine for every AI agent.")
  .version(packageVersion(), "-V, --version", "print the version")
  .helpOption("-h, --help", "print this help")
  .showHelpAfterError()
  .exitOverride();

// Each command loads its module when it runs, so that help and errors load no server.
program
  .command("serve")
  .description("start the server; environment variables configure it (HOST, PORT, AGENT_VM_TOKEN, ...)")
  .action(async () => (await import("./serve.ts")).serve());
program
  .command("doctor")
  .description("check whether VMs can run on this host, and say how to get missing parts")
  .action(async () => (await import("./doctor.ts")).doctor());
program
  .command("backup")
  .description("copy a server's data into a new folder, also while the server runs")
  .argument("<dir>", "folder of the backup, which does not exist yet")
  .option("--data <folder>", DATA_HELP)
  .option(
    "--base <backup>",
    "earlier backup on the same file system; storage of unchanged VMs is shared with it",
  )
  .option("--no-tokens", "leave out the tokens that the server has made; they end with a restore")
  .option("--json", "print the result as JSON")
  .addHelpText(
    "after",
    `\nExit codes: 0, 1 no backup was made, 2 wrong arguments, 3 the backup lacks VMs that could not be read`,
  )
  .action(async (dir, options) => (await import("./backup.ts")).backup(dir, options));
program
  .command("restore")
  .description("copy a backup into an empty data folder, and check each file")
  .argument("<dir>", "folder of the backup")
  .option("--data <folder>", DATA_HELP)
  .option("--json", "print the result as JSON")
  .addHelpText("after", `\nExit codes: 0, 1 nothing was restored, 2 wrong arguments`)
  .action(async (dir, options) => (await import("./backup.ts")).restoreBackup(dir, options));
program
  .command("mcp")
  .description(
    "serve the Model Context Protocol on stdin and stdout, for one VM or for all that the token reaches",
  )
  .argument("[key...]", "parts of the VM's key; without a key the tools take one")
  .option("--endpoint <url>", "URL of the server (default: RIVET_ENDPOINT, else http://localhost:6420)")
  .option("--actor <name>", "name of the actor in the server's registry", "vm")
  .option("--cwd <path>", "base directory in the VM (default: /home/agentos)")
  .addHelpText(
    "after",
    `\nThe token is RIVET_TOKEN or AGENT_VM_TOKEN. Needs the package @modelcontextprotocol/sdk.`,
  )
  .action(async (key, options) => (await import("./mcp.ts")).mcp(key, options));

/** Runs the command that the program's arguments name. Without arguments it prints the help. */
export async function runProgram(): Promise<void> {
  if (process.argv.length <= 2) program.outputHelp();
  else await program.parseAsync().catch(exitWith);
}

/** Prints in one line why a command failed, without a stack. Commander has printed its own errors already. */
function exitWith(error: unknown): never {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : USAGE_ERROR);
  const { message } = error as Error;
  const hint = error instanceof AgentVmError ? error.metadata.hint : undefined;
  process.stderr.write(`agent-vm: ${message}\n${hint === undefined ? "" : `${hint}\n`}`);
  process.exit(1);
}
