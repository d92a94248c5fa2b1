import type { Env } from "../values.ts";
import type { CreateSessionOptions } from "./session-types.ts";

/** Work of a cron job: a prompt in a session of its own, or a command. */
export type SerializableCronAction =
  | {
      /** The job prompts an agent. */
      type: "session";
      /** Agent as for `createSession`. */
      agentType: string;
      /** Text of the prompt. */
      prompt: string;
      /** Options as for `createSession`. @default {} */
      options?: CreateSessionOptions;
    }
  | {
      /** The job runs a command. */
      type: "exec";
      /** Shell line; with `args` the name or path of a program. */
      command: string;
      /** Arguments, passed on unchanged without a shell. @default none: `command` is a shell line */
      args?: string[];
      /** Variables, merged over the VM's base environment. @default {} */
      env?: Env;
      /** Working directory, an absolute path. @default "/home/agentos" */
      cwd?: string;
    };

/** Rule for a tick while an earlier run of its job goes on. `queue` keeps at most one waiting. */
export type CronOverlap = "allow" | "skip" | "queue";

/** Rule for ticks that passed while no server ran: nothing, one run for all, or one run each (at most 100). */
export type CronCatchUp = "none" | "once" | "all";

/** Options of `scheduleCron`. */
export interface SerializableCronJobOptions {
  /** Id of the job. A job with this id is replaced. @default a random UUID */
  id?: string;
  /** Cron expression of 5 to 7 fields, or an ISO timestamp for a single run. */
  schedule: string;
  /** Work of each run: `{ type: "exec", command }` or `{ type: "session", agentType, prompt }`. */
  action: SerializableCronAction;
  /** Rule for a tick while an earlier run goes on; `queue` keeps at most one waiting. @default "allow" */
  overlap?: CronOverlap;
  /** IANA name of the time zone of `schedule`, `startAt` and `stopAt`. @default the actor's `cron.timezone`, "UTC" */
  timezone?: string;
  /** Rule for ticks that passed while no server ran; `all` runs at most 100. @default "once" */
  catchUp?: CronCatchUp;
  /** Delays each run by a random time up to this many seconds, never past the next tick. @default 0 */
  jitterSeconds?: number;
  /** Milliseconds after which a run is killed; 0 means no timeout. @default 0 */
  timeoutMs?: number;
  /** Number of runs after which the job ends. @default no limit */
  maxRuns?: number;
  /** First possible tick, an ISO timestamp. @default none */
  startAt?: string;
  /** End of the job, an ISO timestamp; no tick at or after it fires. @default none */
  stopAt?: string;
  /** `false` creates a paused job. @default true */
  enabled?: boolean;
}

/** A scheduled job. */
export interface ScheduledCronJob {
  /** Id of the job. */
  id: string;
}

/** Result of `runCronJob`. */
export interface StartedCronRun {
  /** Id of the run in `listCronRuns`. */
  runId: string;
}

/** A cron job and its state. */
export interface CronJobInfo {
  /** Id of the job. */
  id: string;
  /** Schedule as given. */
  schedule: string;
  /** Work of each run. */
  action: SerializableCronAction;
  /** Rule for a tick while an earlier run goes on. */
  overlap: CronOverlap;
  /** IANA name of the job's time zone. */
  timezone: string;
  /** Rule for ticks that passed while no server ran. */
  catchUp: CronCatchUp;
  /** Largest random delay of a run, in seconds. */
  jitterSeconds?: number;
  /** Milliseconds after which a run is killed. */
  timeoutMs?: number;
  /** Number of runs after which the job ends. */
  maxRuns?: number;
  /** First possible tick, an ISO timestamp. */
  startAt?: string;
  /** End of the job, an ISO timestamp. */
  stopAt?: string;
  /** Next tick, in milliseconds since the Unix epoch; `null` for a paused or ended job. */
  nextRun: number | null;
  /** Start of the last run, in milliseconds since the Unix epoch; `null` before the first. */
  lastRun: number | null;
  /** Number of runs started, including runs of `runCronJob`. */
  runCount: number;
  /** `true` while a run goes on. */
  running: boolean;
  /** `true` for a paused job. */
  paused: boolean;
}

/** State of a run. `completed` with any exit code; `failed` when the command could not be run to its end. */
export type CronRunStatus = "running" | "completed" | "failed" | "skipped" | "missed" | "timeout";

/** A run in a job's history. */
export interface CronRun {
  /** Id of the run. */
  runId: string;
  /** Id of the job. */
  jobId: string;
  /** Time of the tick, in milliseconds since the Unix epoch; for `runCronJob` the time of the call. */
  scheduledAt: number;
  /** Start, in milliseconds since the Unix epoch; `null` for a skipped or missed tick. */
  startedAt: number | null;
  /** Milliseconds from start to end; `null` until the run has ended, or if the server died meanwhile. */
  durationMs: number | null;
  /** State: `completed` with any exit code, `failed` when the command could not be run to its end. */
  status: CronRunStatus;
  /** Exit code of the command; absent when it did not exit. */
  exitCode?: number;
  /** Why the run has this status; absent when the command exited by itself. */
  reason?: string;
  /** Number of ticks that a `missed` entry stands for; 100 means 100 or more. */
  ticks?: number;
  /** Last 16 KiB of stdout and stderr together. */
  outputTail: string;
  /** Id of the run's session; set for actions of type `session`. */
  sessionId?: string;
  /** Number of times this tick was started: always 1, because an interrupted run is not repeated. */
  attempt: number;
}

/** Options of `listCronRuns`. */
export interface ListCronRunsOptions {
  /** Largest number of runs to return, from 1 to 1,000. @default 100 */
  limit?: number;
  /** Id of a run: only older runs are returned. @default the newest runs */
  before?: string;
}
