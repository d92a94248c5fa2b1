import type { CronJobInfo, SerializableCronJobOptions } from "../../api/types.ts";
import { encodeJson, type StoreEntry } from "../store.ts";
import { Schedule, timestamp } from "./schedule.ts";
import type { Span } from "./spans.ts";
import { nextDue, type TickSource } from "./ticks.ts";

/** What the caller asked for, with defaults filled in. */
export type JobDefinition = Omit<SerializableCronJobOptions, "enabled"> &
  Required<Pick<SerializableCronJobOptions, "id" | "overlap" | "timezone" | "catchUp">>;

/** A run that waits for the one before it. */
export interface PendingRun {
  /** The number that its run will have. */
  seq: number;
  tick: number;
  why: "catchUp" | "queue";
}

/** What changes with every tick. */
export interface JobState {
  cursor: number;
  spans: Span[];
  runCount: number;
  paused: boolean;
  lastRun: number | null;
  /** In the order in which they will run. */
  pending: PendingRun[];
}

const JOBS = "cron/job/";
const STATES = "cron/state/";

/** Key prefixes of what is stored of jobs. */
export const JOB_PREFIXES = { jobs: JOBS, states: STATES } as const;

/** One job: what it is, how far it has come, and when it is due next. */
export class Job {
  /** Its place among the VM's jobs, and its name in the store. */
  readonly place: number;
  readonly definition: JobDefinition;
  readonly schedule: Schedule;
  readonly state: JobState;
  /** When it is to be looked at next, in Unix milliseconds. */
  due: number | undefined;

  constructor(place: number, definition: JobDefinition, state: JobState) {
    const { schedule, timezone } = definition;
    this.place = place;
    this.definition = definition;
    this.state = state;
    this.schedule = new Schedule(schedule, timezone, boundsOf(definition));
  }

  get id(): string {
    return this.definition.id;
  }

  get ticks(): TickSource {
    const { id, catchUp, jitterSeconds = 0 } = this.definition;
    const { cursor, spans } = this.state;
    return { id, schedule: this.schedule, catchUp, jitterMs: jitterSeconds * 1000, cursor, spans };
  }

  /** Runs that it may still have. */
  get runsLeft(): number {
    const { maxRuns = Number.POSITIVE_INFINITY } = this.definition;
    return Math.max(0, maxRuns - this.state.runCount - this.state.pending.length);
  }

  /** Whether no tick of it will ever come. */
  get isOver(): boolean {
    return this.due === undefined && !this.state.paused && this.state.pending.length === 0;
  }

  /** To be called after every change of its state. */
  look(): void {
    this.due = this.state.paused || this.runsLeft === 0 ? undefined : nextDue(this.ticks);
  }

  info(running: boolean): CronJobInfo {
    const { runCount, paused, lastRun } = this.state;
    return { ...this.definition, nextRun: this.due ?? null, lastRun, runCount, running, paused };
  }

  definitionEntry(): StoreEntry {
    return [`${JOBS}${padded(this.place)}`, encodeJson(this.definition)];
  }

  stateEntry(): StoreEntry {
    return [`${STATES}${padded(this.place)}`, encodeJson(this.state)];
  }

  keys(): string[] {
    return [`${JOBS}${padded(this.place)}`, `${STATES}${padded(this.place)}`];
  }
}

/** `startAt` and `stopAt` in Unix milliseconds; `NaN` for what is no timestamp. */
export function boundsOf({ startAt, stopAt, timezone }: JobDefinition) {
  return {
    startAt: startAt === undefined ? undefined : timestamp(startAt, timezone),
    stopAt: stopAt === undefined ? undefined : timestamp(stopAt, timezone),
  };
}

/** A number as part of a key: keys sort as their numbers do. */
export function padded(number: number): string {
  return String(number).padStart(12, "0");
}
