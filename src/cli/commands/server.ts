import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { does, localCommand, serverCommand } from "./command.ts";

/** Every failure has made nothing. */
const NOT_MADE = { notRun: EXIT.failed };

const DATA_HELP = "data folder (default: AGENT_VM_DATA, else the folder that serve uses)";

/** Adds the commands for the server itself. They work on this machine, without a client. */
export function addServerCommands(program: Command): void {
  localCommand(
    program,
    "serve",
    "start the server; environment variables configure it (HOST, PORT, AGENT_VM_TOKEN, ...)",
    {
      notes: "docs/configuration.md lists the variables.",
      examples: [
        ["serve", "listens on http://localhost:6420"],
        ["serve --no-vms", "answers clients for the other servers behind a Rivet Engine"],
      ],
    },
  )
    .option("--no-vms", "run no VMs: a front for the other servers behind a Rivet Engine")
    .action(async (options) => (await import("../serve.ts")).serve(options));
  serverCommand(program, "drain", "shut a server down in order: it hands its VMs over and exits", {
    notes:
      "The endpoint is that of the server itself, not of an engine. Without a Rivet Engine the VMs sleep until the server starts again.",
    examples: [
      [
        "drain --endpoint http://10.0.0.7:6420",
        "waits until other servers have the VMs and this one is gone",
      ],
    ],
  }).action(does(async () => (await import("../actions/drain.ts")).drain));
  localCommand(
    program,
    "doctor",
    "check whether VMs can run on this host, and say how to get missing parts",
    {
      examples: [["doctor", "exits 1 if VMs cannot run here"]],
    },
  ).action(async () => (await import("../doctor.ts")).doctor());
  localCommand(
    program,
    "backup <dir>",
    "copy a server's data into a new folder, also while the server runs",
    {
      notes: "Exits 3 if the backup lacks VMs that could not be read.",
      examples: [
        ["backup /backups/monday", "copies everything"],
        ["backup /backups/tuesday --base /backups/monday", "shares storage of unchanged VMs"],
      ],
    },
  )
    .option("--data <folder>", DATA_HELP)
    .option(
      "--base <backup>",
      "earlier backup on the same file system; storage of unchanged VMs is shared with it",
    )
    .option("--no-tokens", "leave out the tokens that the server has made; they end with a restore")
    .option("--json", "print the result as JSON")
    .action(does(async () => (await import("../backup.ts")).backup, NOT_MADE));
  localCommand(program, "restore <dir>", "copy a backup into an empty data folder, and check each file", {
    notes: "`agent-vm snapshot restore` puts the files of one VM back.",
    examples: [["restore /backups/tuesday --data /srv/agent-vm", "restores into a folder"]],
  })
    .option("--data <folder>", DATA_HELP)
    .option("--json", "print the result as JSON")
    .action(does(async () => (await import("../backup.ts")).restoreBackup, NOT_MADE));
}
