import { randomUUID } from "node:crypto";
import { z } from "zod";
import { cronJobNotFound, invalidArgument, limitExceeded } from "../../api/errors.ts";
import type { SerializableCronJobOptions } from "../../api/methods/cron-types.ts";
import { pause } from "../../base/pace.ts";
import { cronNumber, cronPrefix } from "../store/keys.ts";
import { decodeJson, listAll, type Store } from "../store/store.ts";
import { boundsOf, CronJob, type JobDefinition, type JobState } from "./cron-job.ts";
import { MAX_CRON_JOB_BYTES, MAX_CRON_JOBS } from "./limits.ts";
import { refuseOver } from "./schedule.ts";

/** The state of a job. Earlier servers may have stored it without some members. */
type StoredState = Omit<JobState, "paused" | "lastRun"> & Partial<Pick<JobState, "paused" | "lastRun">>;

/** The members of a stored job without which it cannot run. Earlier servers may have stored fewer of the others. */
const definitionSchema = z.custom<JobDefinition>(
  (value) =>
    z
      .looseObject({ id: z.string(), schedule: z.string(), action: z.looseObject({ type: z.string() }) })
      .safeParse(value).success,
);
const stateSchema = z.custom<StoredState>(
  (value) =>
    z
      .looseObject({
        cursor: z.number(),
        runCount: z.number(),
        spans: z.array(z.tuple([z.number(), z.number()])),
        pending: z.array(z.looseObject({ seq: z.number(), tick: z.number() })),
      })
      .safeParse(value).success,
);

/** The jobs of one VM, in the order in which they were first scheduled. */
export class JobTable {
  readonly #jobs = new Map<string, CronJob>();
  /** The jobs of failed calls, each with the job that is there in its place. */
  readonly #failed = new WeakMap<CronJob, CronJob | undefined>();
  #nextNumber = 1;

  /** @param onDamaged receives the error of each job that cannot be read. The other jobs run */
  async load(store: Store, onDamaged: (error: unknown) => void): Promise<void> {
    const stateOf = new Map<number, Uint8Array>();
    for await (const [key, value] of listAll(store, cronPrefix("state")))
      stateOf.set(cronNumber("state", key), value);
    for await (const [key, value] of listAll(store, cronPrefix("job"))) {
      await pause();
      const number = cronNumber("job", key);
      this.#nextNumber = number + 1;
      // Definition and state are written and deleted together. A deletion that failed may leave one of them.
      const state = stateOf.get(number);
      if (state === undefined) continue;
      try {
        const job = new CronJob(number, definitionSchema.parse(decodeJson(value)), {
          paused: false,
          lastRun: null,
          ...stateSchema.parse(decodeJson(state)),
        });
        job.updateDue();
        this.#jobs.set(job.id, job);
      } catch (error) {
        onDamaged(new Error(`The stored cron job ${number} is damaged`, { cause: error }));
      }
    }
  }

  get(id: string): CronJob | undefined {
    return this.#jobs.get(id);
  }

  /** @throws AgentVmError `cron_job_not_found` */
  find(id: string): CronJob {
    const job = this.#jobs.get(id);
    if (job === undefined) throw cronJobNotFound(id);
    return job;
  }

  all(): CronJob[] {
    return [...this.#jobs.values()].sort((a, b) => a.number - b.number);
  }

  delete(id: string): void {
    this.#jobs.delete(id);
  }

  /** The earliest `due` of all jobs, in Unix milliseconds. */
  get due(): number | null {
    let earliest: number | null = null;
    for (const { due } of this.#jobs.values()) {
      if (due !== undefined && (earliest === null || due < earliest)) earliest = due;
    }
    return earliest;
  }

  /**
   * Adds a job, or replaces the job with its id. If the table is full, the first job that is over and idle is dropped.
   *
   * @param isIdle whether a job has no live run
   * @returns the new job, the replaced job and the dropped job
   */
  add(
    options: SerializableCronJobOptions,
    defaults: { timezone: string; now: number },
    isIdle: (id: string) => boolean,
  ): { job: CronJob; replaced: CronJob | undefined; dropped: CronJob | undefined } {
    const { now } = defaults;
    const { enabled = true, ...rest } = options;
    const definition: JobDefinition = {
      ...rest,
      id: options.id ?? randomUUID(),
      overlap: options.overlap ?? "allow",
      timezone: options.timezone ?? defaults.timezone,
      catchUp: options.catchUp ?? "once",
    };
    for (const [bound, value] of Object.entries(boundsOf(definition))) {
      if (Number.isNaN(value)) {
        throw invalidArgument(bound, "an ISO timestamp", definition[bound as "startAt"]);
      }
    }
    const known = this.#jobs.get(definition.id);
    const state = { cursor: now, spans: [], runCount: 0, paused: !enabled, lastRun: null, pending: [] };
    const job = new CronJob(known?.number ?? this.#nextNumber, definition, state);
    refuseOver(job.schedule, definition.schedule, now);
    const bytes = job.definitionEntry()[1].byteLength;
    if (bytes > MAX_CRON_JOB_BYTES) {
      throw limitExceeded(
        { MAX_CRON_JOB_BYTES },
        `The cron job has ${bytes} bytes as JSON`,
        "Shorten its command or prompt.",
      );
    }
    const dropped = known === undefined ? this.#makeRoom(isIdle) : undefined;
    this.#nextNumber = Math.max(this.#nextNumber, job.number + 1);
    job.updateDue();
    this.#jobs.set(job.id, job);
    return { job, replaced: known, dropped };
  }

  /**
   * Undoes a call that has failed.
   *
   * @param added job of the call. A later call may have replaced or cancelled it
   * @param gone jobs that the call replaced, dropped or cancelled. The calls that added them may have failed too
   * @returns the jobs that are there again
   */
  undo(added: CronJob | undefined, gone: readonly (CronJob | undefined)[]): CronJob[] {
    const lasting = gone.map((job) => this.#lasting(job)).filter((job) => job !== undefined);
    const isCurrent = added !== undefined && this.#jobs.get(added.id) === added;
    if (isCurrent) this.#jobs.delete(added.id);
    if (added !== undefined) {
      this.#failed.set(
        added,
        lasting.find(({ id }) => id === added.id),
      );
    }
    const back = lasting.filter(({ id }) => !this.#jobs.has(id) && (isCurrent || id !== added?.id));
    for (const job of back) this.#jobs.set(job.id, job);
    return back;
  }

  /** Returns the job, or what is there in its place if its call has failed. */
  #lasting(job: CronJob | undefined): CronJob | undefined {
    let lasting = job;
    while (lasting !== undefined && this.#failed.has(lasting)) lasting = this.#failed.get(lasting);
    return lasting;
  }

  /** Jobs that are over stay listed until the table is full. */
  #makeRoom(isIdle: (id: string) => boolean): CronJob | undefined {
    if (this.#jobs.size < MAX_CRON_JOBS) return undefined;
    const over = this.all().find((job) => job.isOver && isIdle(job.id));
    if (over === undefined) {
      throw limitExceeded({ MAX_CRON_JOBS }, "Cron job limit reached", "Cancel a job first.");
    }
    this.#jobs.delete(over.id);
    return over;
  }
}
