import { z } from "zod";
import { MAX_CRON_JITTER_SECONDS, MAX_CRON_RUNS } from "../limits.ts";
import {
  args,
  argument,
  bool,
  cronSchedule,
  cwd,
  env,
  id,
  integer,
  options,
  text,
  timeout,
  timezone,
} from "../values.ts";
import type {
  CronJobInfo,
  CronRun,
  ListCronRunsOptions,
  ScheduledCronJob,
  SerializableCronJobOptions,
  StartedCronRun,
} from "./cron-types.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";
import { sessionOptions } from "./session-options.ts";

const method = methodsOf("cron");

const jobOptions = options({
  id: id.optional(),
  schedule: cronSchedule,
  action: z.discriminatedUnion(
    "type",
    [
      options({
        type: z.literal("session"),
        agentType: text,
        prompt: text,
        options: sessionOptions.optional(),
      }),
      options({
        type: z.literal("exec"),
        command: argument(),
        args: args.optional(),
        env: env.optional(),
        cwd: cwd.optional(),
      }),
    ],
    { error: 'an action of type "session" or "exec"' },
  ),
  overlap: z.enum(["allow", "skip", "queue"], { error: '"allow", "skip" or "queue"' }).optional(),
  timezone: timezone.optional(),
  catchUp: z.enum(["none", "once", "all"], { error: '"none", "once" or "all"' }).optional(),
  jitterSeconds: integer(
    0,
    MAX_CRON_JITTER_SECONDS,
    `an integer of seconds from 0 to ${MAX_CRON_JITTER_SECONDS}`,
  ).optional(),
  timeoutMs: timeout.optional(),
  maxRuns: integer(1, Number.MAX_SAFE_INTEGER, "a positive integer").optional(),
  startAt: cronSchedule.optional(),
  stopAt: cronSchedule.optional(),
  enabled: bool.optional(),
});

const listOptions = options({
  limit: integer(1, MAX_CRON_RUNS, `an integer from 1 to ${MAX_CRON_RUNS}`).optional(),
  before: id.optional(),
}).optional();

/** Jobs that run by the clock. Jobs and their history survive sleep, restart and crash. */
export const CRON_METHODS = {
  /**
   * Schedules a job, or replaces the job with this id. A VM has at most 1,000 jobs.
   *
   * @param options schedule, work and rules of the job
   * @throws AgentVmError `invalid_argument` for a schedule that never fires; `unknown_agent_type`, `agent_not_installed`;
   * `limit_exceeded`; `storage_failed`
   */
  scheduleCron: method<(options: SerializableCronJobOptions) => Promise<ScheduledCronJob>>()({
    right: "cron",
    input: takes(["options", jobOptions]),
  }),
  /** Lists the VM's cron jobs with their next and last runs, oldest first. */
  listCronJobs: method<() => Promise<CronJobInfo[]>>()({ right: "cron", input: takes(), reads: true }),
  /**
   * Deletes a job. Runs that have started go on. An unknown id does nothing.
   *
   * @param id id of the job
   * @throws AgentVmError `invalid_argument`
   */
  cancelCronJob: method<(id: string) => Promise<void>>()({ right: "cron", input: takes(["id", id]) }),
  /**
   * Returns the history of all jobs or of one, newest first. A VM keeps its newest 1,000 runs.
   *
   * @param jobId id of the job. @default all jobs
   * @param options `limit` and `before`. @default the newest 100 runs
   * @throws AgentVmError `invalid_argument`
   */
  listCronRuns: method<(jobId?: string, options?: ListCronRunsOptions) => Promise<CronRun[]>>()({
    right: "cron",
    input: takes(["jobId", id.nullish().transform((jobId) => jobId ?? undefined)], ["options", listOptions]),
    reads: true,
  }),
  /**
   * Fires a job now, under its overlap rule. Returns at once.
   *
   * @param id id of the job
   * @returns the id of the run in `listCronRuns`
   * @throws AgentVmError `cron_job_not_found`
   */
  runCronJob: method<(id: string) => Promise<StartedCronRun>>()({ right: "cron", input: takes(["id", id]) }),
  /**
   * Pauses a job. Ticks of a paused job are neither run nor recorded.
   *
   * @param id id of the job
   * @throws AgentVmError `cron_job_not_found`
   */
  pauseCronJob: method<(id: string) => Promise<void>>()({ right: "cron", input: takes(["id", id]) }),
  /**
   * Resumes a paused job. Ticks during the pause are not caught up.
   *
   * @param id id of the job
   * @throws AgentVmError `cron_job_not_found`
   */
  resumeCronJob: method<(id: string) => Promise<void>>()({ right: "cron", input: takes(["id", id]) }),
};

export type CronMethods = CallsOf<typeof CRON_METHODS>;
