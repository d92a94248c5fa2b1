import { type Command, Option } from "commander";
import { duration, integer, variables } from "../values.ts";
import { does, group, serverCommand } from "./command.ts";

const actions = () => import("../actions/cron.ts");

/** Adds the commands for jobs that run by the clock. */
export function addCronCommands(program: Command): void {
  const cron = group(program, "cron", "run commands and prompts by the clock");
  serverCommand(cron, "add <key> <schedule> <command...>", "schedule a command, or with --agent a prompt", {
    notes:
      "Options stand before KEY. One word is a line for the VM's shell; several words are a program and its arguments.",
    examples: [
      ["cron add --id nightly alice '0 3 * * *' 'npm test'", "runs every night at three"],
      [
        "cron add --agent claude alice '0 9 * * 1' 'Update the dependencies.'",
        "prompts an agent every Monday",
      ],
    ],
  })
    .passThroughOptions()
    .option("--id <id>", "id of the job; a job with this id is replaced")
    .option("--agent <agent>", "the words are a prompt for this agent")
    .option("-e, --env <name=value>", "variable; NAME alone takes its value here", variables)
    .option("-w, --cwd <path>", "working directory")
    .option("--timezone <name>", "time zone of the schedule, such as Europe/Berlin")
    .addOption(
      new Option("--overlap <rule>", "a tick while a run goes on").choices(["allow", "skip", "queue"]),
    )
    .addOption(new Option("--catch-up <rule>", "ticks while no server ran").choices(["none", "once", "all"]))
    .option("--timeout <time>", "time after which a run is killed", duration)
    .option("--max-runs <number>", "runs after which the job ends", integer)
    .option("--paused", "create a paused job")
    .action(does(async () => (await actions()).addJob));
  serverCommand(cron, "ls <key>", "list the jobs of a VM", {
    examples: [["cron ls alice", "lists jobs with their next ticks"]],
  }).action(does(async () => (await actions()).listJobs));
  serverCommand(cron, "runs <key> [job]", "list the runs of all jobs or of one, newest first", {
    examples: [["cron runs alice nightly --limit 10", "lists the last ten runs"]],
  })
    .option("--limit <number>", "largest number of runs", integer)
    .action(does(async () => (await actions()).listRuns));
  serverCommand(cron, "run <key> <job>", "run a job now", {
    examples: [["cron run alice nightly", "prints the id of the run"]],
  }).action(does(async () => (await actions()).runJob));
  serverCommand(cron, "pause <key> <job>", "pause a job", {
    examples: [["cron pause alice nightly", "its ticks are neither run nor recorded"]],
  }).action(does(async () => (await actions()).pauseJob));
  serverCommand(cron, "resume <key> <job>", "resume a paused job", {
    examples: [["cron resume alice nightly", "ticks of the pause are not caught up"]],
  }).action(does(async () => (await actions()).resumeJob));
  serverCommand(cron, "rm <key> <job...>", "delete jobs", {
    examples: [["cron rm alice nightly", "runs that have started go on"]],
  }).action(does(async () => (await actions()).deleteJobs));
}
