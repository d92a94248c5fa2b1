import { randomUUID } from "node:crypto";
import { invalidArgument, limitExceeded } from "../../api/errors.ts";
import { MAX_CRON_JOB_BYTES, MAX_CRON_JOBS } from "../../api/limits.ts";
import type { SerializableCronJobOptions } from "../../api/types.ts";
import { pause } from "../sandbox/pace.ts";
import { decodeJson, listAll, type Store } from "../store.ts";
import { boundsOf, JOB_PREFIXES, Job, type JobDefinition, type JobState } from "./job.ts";
import { refuseOver } from "./schedule.ts";

/** The jobs of one VM, in the order in which they were first scheduled. */
export class JobTable {
  readonly #jobs = new Map<string, Job>();
  #nextPlace = 1;

  async load(store: Store): Promise<void> {
    const { jobs, states } = JOB_PREFIXES;
    const stateOf = new Map<number, Uint8Array>();
    for await (const [key, value] of listAll(store, states))
      stateOf.set(Number(key.slice(states.length)), value);
    for await (const [key, value] of listAll(store, jobs)) {
      await pause();
      const place = Number(key.slice(jobs.length));
      this.#nextPlace = place + 1;
      // Both are written and deleted together; one without the other is what a deletion that failed has left.
      const state = stateOf.get(place);
      if (state === undefined) continue;
      const job = new Job(place, decodeJson(value) as JobDefinition, decodeJson(state) as JobState);
      job.look();
      this.#jobs.set(job.id, job);
    }
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  all(): Job[] {
    return [...this.#jobs.values()].sort((a, b) => a.place - b.place);
  }

  delete(id: string): void {
    this.#jobs.delete(id);
  }

  /** The next time at which any job is to be looked at, in Unix milliseconds. */
  get due(): number | null {
    let earliest: number | null = null;
    for (const { due } of this.#jobs.values()) {
      if (due !== undefined && (earliest === null || due < earliest)) earliest = due;
    }
    return earliest;
  }

  /**
   * Makes a job of what a caller asked for, in the place of the one of the same id.
   *
   * @param isIdle whether a job has no run, so that it may go when it is over and the table is full.
   * @returns the job, the one whose name and place it has taken, and the one that had to go for it.
   */
  add(
    options: SerializableCronJobOptions,
    defaults: { timezone: string; now: number },
    isIdle: (id: string) => boolean,
  ): { job: Job; replaced: Job | undefined; dropped: Job | undefined } {
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
    const job = new Job(known?.place ?? this.#nextPlace, definition, state);
    refuseOver(job.schedule, definition.schedule, now);
    const bytes = job.definitionEntry()[1].byteLength;
    if (bytes > MAX_CRON_JOB_BYTES) {
      throw limitExceeded("MAX_CRON_JOB_BYTES", MAX_CRON_JOB_BYTES, `The job has ${bytes} bytes`);
    }
    const dropped = known === undefined ? this.#makeRoom(isIdle) : undefined;
    this.#nextPlace = Math.max(this.#nextPlace, job.place + 1);
    job.look();
    this.#jobs.set(job.id, job);
    return { job, replaced: known, dropped };
  }

  /** Takes back a change that could not be stored. */
  undo(added: Job | undefined, gone: readonly (Job | undefined)[]): void {
    if (added !== undefined && this.#jobs.get(added.id) === added) this.#jobs.delete(added.id);
    for (const job of gone) {
      // Another one of its name may have come meanwhile.
      if (job !== undefined && !this.#jobs.has(job.id)) this.#jobs.set(job.id, job);
    }
  }

  /** A job that is over stays to be looked at, until another one needs its place. */
  #makeRoom(isIdle: (id: string) => boolean): Job | undefined {
    if (this.#jobs.size < MAX_CRON_JOBS) return undefined;
    const over = this.all().find((job) => job.isOver && isIdle(job.id));
    if (over === undefined) {
      throw limitExceeded("MAX_CRON_JOBS", MAX_CRON_JOBS, "The VM has as many cron jobs as it can");
    }
    this.#jobs.delete(over.id);
    return over;
  }
}
