import { type Command, Option } from "commander";
import { duration, integer, list, number, pairs, size, variables } from "../values.ts";
import { does, serverCommand } from "./command.ts";

/** Adds the commands for whole VMs. */
export function addVmCommands(program: Command): void {
  serverCommand(program, "ls [key] [path]", "list VMs, or the files of a VM", {
    notes: "A path that does not begin with / begins at /home/agentos.",
    examples: [
      ["ls", "lists the VMs"],
      ["ls --prefix team --state awake", "lists awake VMs whose keys begin with team"],
      ["ls -l alice:/workspace", "lists files with mode, size and time; `ls -l alice /workspace` does too"],
    ],
  })
    .option("-l, --long", "files: mode, owner, size and time")
    .option("-R, --recursive", "files: everything below too")
    .option("-q, --quiet", "VMs: only the keys")
    .option("--prefix <key>", "VMs: only keys that begin with these parts")
    .option("--label <name=value>", "VMs: only with this label", pairs)
    .addOption(
      new Option("--state <state>", "VMs: only in this state").choices(["awake", "booting", "sleeping"]),
    )
    .action(does(async () => (await import("../actions/vms.ts")).ls));

  serverCommand(program, "create <key>", "create a VM", {
    notes: "The server allows limits, variables, policies and first files by its option perVm.",
    examples: [
      ["create alice", "creates the VM alice"],
      ["create team/bob --label tier=free", "creates a VM with a label"],
      ["create team/eve --memory 512M --outbound none", "needs a server whose option perVm allows both"],
    ],
  })
    .option("--if-missing", "succeed if the VM exists")
    .option("--label <name=value>", "label", pairs)
    .option("-e, --env <name=value>", "variable of every command; NAME alone takes its value here", variables)
    .option("--memory <size>", "limit of memory, such as 512M", size)
    .option("--cpus <number>", "CPUs that the VM may use at once", number)
    .option("--disk <size>", "limit of its files, such as 2G", size)
    .option("--processes <number>", "limit of processes and threads", integer)
    .option("--outbound <rule>", "all, none, or a host that programs may reach", list)
    .option("--root-filesystem <name>", "first files, by a name of the server's")
    .option("--destroy-after <time>", "sleep after which the server destroys the VM, such as 7d", duration)
    .action(does(async () => (await import("../actions/vms.ts")).create));

  serverCommand(program, "stats <key>", "show the state of a VM, its limits and what it has used", {
    examples: [["stats alice", "shows one fact a line, and boots nothing"]],
  }).action(does(async () => (await import("../actions/vms.ts")).stats));

  serverCommand(program, "fork <key> <new-key>", "make a new VM with the files of a VM", {
    examples: [
      ["fork alice team/alice-2", "prints the key of the new VM"],
      [
        "fork alice alice-before --snapshot snap-5f3c9a1e04b7d286",
        "gives the new VM the files of a snapshot",
      ],
    ],
  })
    .option(
      "-s, --snapshot <id>",
      "snapshot whose files the new VM gets (default: the files as they are now)",
    )
    .action(does(async () => (await import("../actions/vms.ts")).fork));

  serverCommand(program, "rm <key>", "destroy a VM, or delete a file of a VM with KEY:PATH", {
    examples: [
      ["rm alice", "asks, then destroys the VM"],
      ["rm --yes alice", "does not ask; a script must pass --yes"],
      ["rm -r alice:/workspace/build", "deletes a folder in the VM"],
    ],
  })
    .option("-y, --yes", "destroy without a question")
    .option("-r, --recursive", "files: everything below too")
    .action(does(async () => (await import("../actions/vms.ts")).rm));

  serverCommand(program, "call [key] [method] [arguments...]", "call any method of the API", {
    notes: "Arguments are JSON, or text if they are not JSON. docs/methods.md describes the methods.",
    examples: [
      ["call --list", "lists the methods with their arguments and rights"],
      ["call alice restart", "boots the VM again"],
      ['call alice setLabels \'{"tier":"free"}\'', "passes an object"],
    ],
  })
    .option("--list", "list the methods")
    .action(does(async () => (await import("../actions/call.ts")).call));
}
