import type { CronJobInfo, SerializableCronJobOptions } from "../../api/methods/cron-types.ts";
import { cronKey } from "../store/keys.ts";
import { decodeJson, encodeJson, type StoreEntry } from "../store/store.ts";
import { Schedule, timestamp } from "./schedule.ts";
import type { Span } from "./spans.ts";
import { nextDue, type TickSource } from "./ticks.ts";

/** The options of a job, with defaults. */
export type JobDefinition = Omit<SerializableCronJobOptions, "enabled"> &
  Required<Pick<SerializableCronJobOptions, "id" | "overlap" | "timezone" | "catchUp">>;

/** A run that waits for the previous run of its job. */
interface PendingRun {
  /** Number of the run. */
  seq: number;
  tick: number;
  why: "catchUp" | "queue";
}

/** The part of a job that changes with every tick. */
export interface JobState {
  /** All ticks up to this time have been considered, in Unix milliseconds. */
  cursor: number;
  /** Ticks that have run. */
  spans: Span[];
  runCount: number;
  paused: boolean;
  lastRun: number | null;
  /** In the order in which they start. */
  pending: PendingRun[];
}

/** One job: its definition, its state, and its next due time. */
export class CronJob {
  /** Its position among the VM's jobs, and the number in its store keys. */
  readonly number: number;
  readonly definition: JobDefinition;
  readonly schedule: Schedule;
  readonly state: JobState;
  /** When its ticks must be considered next, in Unix milliseconds. `undefined`: never. */
  due: number | undefined;
  /** The last state that the store is known to have, as JSON. */
  #stored: Uint8Array;
  /** Number of changes of the state that were to be stored. */
  #changes = 0;

  constructor(number: number, definition: JobDefinition, state: JobState) {
    const { schedule, timezone } = definition;
    this.number = number;
    this.definition = definition;
    this.state = state;
    this.schedule = new Schedule(schedule, timezone, boundsOf(definition));
    this.#stored = encodeJson(state);
  }

  get id(): string {
    return this.definition.id;
  }

  get ticks(): TickSource {
    const { id, catchUp, jitterSeconds = 0 } = this.definition;
    const { cursor, spans } = this.state;
    return { id, schedule: this.schedule, catchUp, jitterMs: jitterSeconds * 1000, cursor, spans };
  }

  /** Runs that `maxRuns` still allows. */
  get runsLeft(): number {
    const { maxRuns = Number.POSITIVE_INFINITY } = this.definition;
    return Math.max(0, maxRuns - this.state.runCount - this.state.pending.length);
  }

  /** Whether no run will follow. */
  get isOver(): boolean {
    return this.due === undefined && !this.state.paused && this.state.pending.length === 0;
  }

  /** Computes `due`. Call it after every change of the state. */
  updateDue(): void {
    this.due = this.state.paused || this.runsLeft === 0 ? undefined : nextDue(this.ticks);
  }

  /** Whether its ticks must be considered now. A clock that was set back makes a job due too. */
  isDue(now: number): boolean {
    if (this.state.cursor > now && !this.state.paused) return true;
    return this.due !== undefined && this.due <= now;
  }

  info(running: boolean): CronJobInfo {
    const { runCount, paused, lastRun } = this.state;
    return { ...this.definition, nextRun: this.due ?? null, lastRun, runCount, running, paused };
  }

  definitionEntry(): StoreEntry {
    return [cronKey("job", this.number), encodeJson(this.definition)];
  }

  stateEntry(): StoreEntry {
    return [cronKey("state", this.number), encodeJson(this.state)];
  }

  /**
   * Stores the state. If that fails, and no later change is on its way, the state becomes the last stored one.
   *
   * @param write stores the entry of the state. The writes of a job end in their order
   */
  async store(write: (entry: StoreEntry) => Promise<void>): Promise<void> {
    this.updateDue();
    const entry = this.stateEntry();
    this.#changes += 1;
    const change = this.#changes;
    try {
      await write(entry);
      this.#stored = entry[1];
    } catch (error) {
      if (change === this.#changes) {
        Object.assign(this.state, decodeJson(this.#stored));
        this.updateDue();
      }
      throw error;
    }
  }

  keys(): string[] {
    return [cronKey("job", this.number), cronKey("state", this.number)];
  }
}

/** `startAt` and `stopAt` in Unix milliseconds. `NaN` for a text that is not a timestamp. */
export function boundsOf({ startAt, stopAt, timezone }: JobDefinition) {
  return {
    startAt: startAt === undefined ? undefined : timestamp(startAt, timezone),
    stopAt: stopAt === undefined ? undefined : timestamp(stopAt, timezone),
  };
}
