import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { duration, integer, variables } from "../values.ts";
import { does, serverCommand } from "./command.ts";

const COMMAND_NOTE =
  "One word is a line for the VM's shell. Several words are a program and its arguments, passed on as they are. Options stand before KEY.";
const notRun = { notRun: EXIT.notRun };

/** Adds the commands that run and show programs. */
export function addProcessCommands(program: Command): void {
  serverCommand(program, "exec <key> <command...>", "run a command to its end and print its output", {
    notes: `${COMMAND_NOTE} With --json, output above the VM's limit is dropped, and \`truncated\` is true.`,
    examples: [
      ['exec alice "ls | wc -l"', "runs a line of the shell"],
      ["exec --cwd /workspace team/alice npm test", "runs a program in a folder"],
      ["exec --stdin alice wc -l < list.txt", "gives the program this machine's stdin"],
    ],
  })
    .passThroughOptions()
    .option("-e, --env <name=value>", "variable of the command; NAME alone takes its value here", variables)
    .option("-w, --cwd <path>", "working directory (default: /home/agentos)")
    .option("-t, --timeout <time>", "kill the command after a time such as 30s", duration)
    .option("-i, --stdin", "read all of stdin first, for the command")
    .action(does(async () => (await import("../actions/run.ts")).exec, notRun));

  serverCommand(program, "run <key> <command...>", "run a command and stream its output, stdin and signals", {
    notes: `${COMMAND_NOTE} Signals reach everything that the command has started; a second Ctrl-C kills it.`,
    examples: [
      ["run alice npm run build", "shows the output while the command runs"],
      ["run alice 'tar c /workspace' > workspace.tar", "bytes pass unchanged"],
      ["run --detach alice npm start", "prints the pid; `agent-vm logs -f alice` follows the output"],
    ],
  })
    .passThroughOptions()
    .option("-e, --env <name=value>", "variable of the command; NAME alone takes its value here", variables)
    .option("-w, --cwd <path>", "working directory (default: /home/agentos)")
    .option("-t, --timeout <time>", "kill the command after a time such as 30s", duration)
    .option("-n, --no-stdin", "give the command no stdin")
    .option("-d, --detach", "start the command, print its pid and leave it")
    .action(does(async () => (await import("../actions/run.ts")).run, notRun));

  serverCommand(program, "shell <key> [command...]", "open a shell in a VM on this terminal", {
    notes:
      "The detach keys leave the shell open, and so does the end of this terminal. A shell that exits ends the command with its exit code.",
    examples: [
      ["shell alice", "opens bash"],
      ["shell alice -- python3 -i", "opens a program; -- stands before its own options"],
      ["shell alice --attach", "takes up the newest open shell, with its scrollback"],
      ["shell alice --attach shell-3f9c02d81b7e", "takes up this shell"],
      ["shell alice --list", "lists the shells"],
    ],
  })
    .option("-a, --attach [shell]", "take up an open shell (default: the newest)")
    .option("-l, --list", "list the shells")
    .option("--detach-keys <keys>", "keys that leave the shell open", "ctrl-p,ctrl-q")
    .option("-e, --env <name=value>", "variable of the shell; NAME alone takes its value here", variables)
    .option("-w, --cwd <path>", "working directory (default: /home/agentos)")
    .action(does(async () => (await import("../actions/shell.ts")).shell, notRun));

  serverCommand(program, "ps <key>", "list the processes of a VM", {
    examples: [
      ["ps alice", "lists all processes"],
      ["ps alice --started", "lists processes that `exec`, `run` and the API have started, ended ones too"],
    ],
  })
    .option("-s, --started", "only processes that `exec`, `run` and the API have started, ended ones too")
    .action(does(async () => (await import("../actions/processes.ts")).ps));

  serverCommand(program, "top <key>", "show what a VM uses and its processes, live", {
    notes: "Without a terminal it looks once.",
    examples: [
      ["top alice", "shows the VM until q"],
      ["top alice --count 3 --json", "prints three lines of JSON"],
    ],
  })
    .option("-i, --interval <time>", "time between two looks (default: 2s)", duration)
    .option("-c, --count <number>", "number of looks", integer)
    .action(does(async () => (await import("../actions/top.ts")).top));

  serverCommand(
    program,
    "logs <key> [pid]",
    "print the output of a process that `exec`, `run` or the API has started",
    {
      notes:
        "Without a pid: of the newest process. On a terminal, control characters are escaped. The VM keeps the newest MiB of each process.",
      examples: [
        ["logs alice", "prints the output of the newest process"],
        ["logs -f alice 17", "follows the output of process 17 to its end"],
      ],
    },
  )
    .option("-f, --follow", "follow the output to the end of the process")
    .action(
      does(async () => {
        const { logs } = await import("../actions/processes.ts");
        return (cli, key: string, pid: string | undefined, options: { follow?: boolean }) =>
          logs(cli, key, pid === undefined ? undefined : integer(pid), options);
      }),
    );

  serverCommand(program, "kill <key> <pid...>", "send a signal to processes of a VM", {
    examples: [
      ["kill alice 17", "sends SIGTERM"],
      ["kill -s KILL --tree alice 17", "kills the process with everything that it has started"],
    ],
  })
    .option("-s, --signal <signal>", "name or number of the signal", "TERM")
    .option("--tree", "reach everything that the process has started too")
    .action(
      does(async () => {
        const { kill } = await import("../actions/processes.ts");
        return (cli, key: string, pids: string[], options: { signal: string; tree?: boolean }) =>
          kill(cli, key, pids.map(integer), options);
      }),
    );
}
