import type { SerializableCronAction } from "../../api/methods/cron-types.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit-codes.ts";
import { shownDuration, shownTime } from "../shown.ts";

interface AddOptions {
  id?: string;
  agent?: string;
  env?: Record<string, string>;
  cwd?: string;
  timezone?: string;
  overlap?: "allow" | "skip" | "queue";
  catchUp?: "none" | "once" | "all";
  timeout?: number;
  maxRuns?: number;
  paused?: boolean;
}

/** Schedules a command, or with `--agent` a prompt. */
export async function addJob(
  cli: Cli,
  key: string,
  schedule: string,
  words: string[],
  options: AddOptions,
): Promise<void> {
  const { id, timezone, overlap, catchUp, timeout, maxRuns, paused } = options;
  const made = await (await cli.vm(key)).scheduleCron({
    schedule,
    action: actionOf(words, options),
    id,
    timezone,
    overlap,
    catchUp,
    timeoutMs: timeout,
    maxRuns,
    enabled: !paused,
  });
  await cli.out.value(made, made.id);
}

function actionOf(words: readonly string[], { agent, env, cwd }: AddOptions): SerializableCronAction {
  if (agent !== undefined)
    return { type: "session", agentType: agent, prompt: words.join(" "), options: { env, cwd } };
  const [command, ...args] = words;
  if (command === undefined) throw new UsageError("Pass a command");
  return { type: "exec", command, ...(args.length > 0 && { args }), env, cwd };
}

export async function listJobs(cli: Cli, key: string): Promise<void> {
  await cli.out.table(await (await cli.vm(key)).listCronJobs(), [
    { title: "JOB", of: ({ id }) => id },
    { title: "SCHEDULE", of: ({ schedule }) => schedule },
    { title: "STATE", of: ({ paused, running }) => (paused ? "paused" : running ? "running" : "waiting") },
    { title: "NEXT", of: ({ nextRun }) => shownTime(nextRun) },
    { title: "RUNS", of: ({ runCount }) => runCount, isNumber: true },
    { title: "WORK", of: ({ action }) => shownAction(action) },
  ]);
}

function shownAction(action: SerializableCronAction): string {
  if (action.type === "session") return `${action.agentType}: ${action.prompt}`;
  return [action.command, ...(action.args ?? [])].join(" ");
}

export async function listRuns(
  cli: Cli,
  key: string,
  job: string | undefined,
  { limit }: { limit?: number },
): Promise<void> {
  const runs = await (await cli.vm(key)).listCronRuns(job, limit === undefined ? {} : { limit });
  await cli.out.table(runs, [
    { title: "RUN", of: ({ runId }) => runId },
    { title: "JOB", of: ({ jobId }) => jobId },
    { title: "TICK", of: ({ scheduledAt }) => shownTime(scheduledAt) },
    {
      title: "STATE",
      of: ({ status, exitCode }) => (exitCode === undefined ? status : `${status} ${exitCode}`),
    },
    { title: "TOOK", of: ({ durationMs }) => shownDuration(durationMs) },
    { title: "OUTPUT", of: ({ outputTail, reason }) => reason ?? outputTail.trimEnd().split("\n").at(-1) },
  ]);
}

export async function deleteJobs(cli: Cli, key: string, ids: string[]): Promise<void> {
  const vm = await cli.vm(key);
  for (const id of ids) await vm.cancelCronJob(id);
  await cli.out.value({ deleted: ids }, "");
}

/** Fires a job now. */
export async function runJob(cli: Cli, key: string, id: string): Promise<void> {
  const started = await (await cli.vm(key)).runCronJob(id);
  await cli.out.value(started, started.runId);
}

export async function pauseJob(cli: Cli, key: string, id: string): Promise<void> {
  await (await cli.vm(key)).pauseCronJob(id);
  await cli.out.value({ paused: id }, "");
}

export async function resumeJob(cli: Cli, key: string, id: string): Promise<void> {
  await (await cli.vm(key)).resumeCronJob(id);
  await cli.out.value({ resumed: id }, "");
}
