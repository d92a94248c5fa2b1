import type { CronEvent } from "../../api/events.ts";
import { MAX_CRON_CONCURRENT, MAX_CRON_LIVE_RUNS } from "../../api/limits.ts";
import { Semaphore } from "../sandbox/kernel/start/semaphore.ts";
import type { StoreEntry } from "../store.ts";
import { type RunCommand, type RunOutcome, type RunPrompt, runAction, stopped } from "./action.ts";
import { eventOf } from "./event.ts";
import type { History, RunRecord } from "./history.ts";
import type { Job, JobDefinition } from "./job.ts";
import type { Journal } from "./journal.ts";
import { withTick } from "./spans.ts";

export interface RunsSettings {
  journal: Journal;
  history: History;
  run: RunCommand;
  prompt: RunPrompt;
  now(): number;
  /** The job that has an id now; it may be another one than the run began with. */
  job(id: string): Job | undefined;
  emit(event: CronEvent): void;
  keepAwake(work: Promise<unknown>): void;
}

interface LiveRun {
  record: RunRecord;
  definition: JobDefinition;
  /** It had to wait for its turn. */
  waited: boolean;
}

/** What a decision about a job asks for; nothing of it is done before it is stored. */
export interface Decision {
  entries: StoreEntry[];
  events: CronEvent[];
  starts: LiveRun[];
}

/** The runs of a VM's jobs: who may start, what goes on, how it ended. */
export class Runs {
  readonly #settings: RunsSettings;
  readonly #live = new Map<string, Set<LiveRun>>();
  readonly #ongoing = new Set<Promise<void>>();
  readonly #places = new Semaphore(MAX_CRON_CONCURRENT);
  #count = 0;
  #stopping = false;

  constructor(settings: RunsSettings) {
    this.#settings = settings;
  }

  isRunning(jobId: string): boolean {
    return this.#live.has(jobId);
  }

  /** A tick of a job has come, or a caller wants a run now. Changes the job, stores nothing. */
  offer(job: Job, tick: number, seq = this.#settings.history.take()): Decision {
    const { overlap } = job.definition;
    const { pending } = job.state;
    if (overlap === "allow") return this.#begin(job, tick, seq, false);
    const busy = this.isRunning(job.id) || pending.length > 0;
    if (!busy) return this.#begin(job, tick, seq, false);
    if (overlap === "skip") return this.pass(job, { tick, seq, status: "skipped", reason: "overlap" });
    if (pending.some(({ why }) => why === "queue")) {
      return this.pass(job, { tick, seq, status: "skipped", reason: "queue_full" });
    }
    pending.push({ seq, tick, why: "queue" });
    return merged();
  }

  /** Scheduled ticks are remembered, so that none comes twice. */
  offerTick(job: Job, tick: number): Decision {
    job.state.spans = withTick(job.state.spans, tick, job.schedule);
    return this.offer(job, tick);
  }

  /** Ticks that catch-up promises: they run one after the other. */
  promise(job: Job, ticks: readonly number[]): Decision {
    for (const tick of ticks) {
      job.state.spans = withTick(job.state.spans, tick, job.schedule);
      job.state.pending.push({ seq: this.#settings.history.take(), tick, why: "catchUp" });
    }
    return this.next(job);
  }

  /** Starts the run that waits, if it is its turn. */
  next(job: Job): Decision {
    const { pending, paused } = job.state;
    const live = [...(this.#live.get(job.id) ?? [])];
    const isBlocked =
      job.definition.overlap === "allow" ? live.some(({ waited }) => waited) : live.length > 0;
    if (paused || isBlocked || this.#stopping) return merged();
    const first = pending.shift();
    return first === undefined ? merged() : this.#begin(job, first.tick, first.seq, true);
  }

  /** Records that a tick has no run. */
  pass(
    job: Job,
    { tick, seq, ...why }: { tick: number; seq: number } & Pick<RunRecord, "status" | "reason" | "ticks">,
  ): Decision {
    const record: RunRecord = {
      seq,
      jobId: job.id,
      scheduledAt: tick,
      startedAt: null,
      durationMs: null,
      attempt: 1,
      ...why,
    };
    const entries = this.#settings.history.set(record);
    return { entries, events: [eventOf(job.definition, record, this.#settings.now())], starts: [] };
  }

  #begin(job: Job, tick: number, seq: number, waited: boolean): Decision {
    if (this.#count >= MAX_CRON_LIVE_RUNS) {
      return this.pass(job, { tick, seq, status: "skipped", reason: "limit_exceeded" });
    }
    const startedAt = this.#settings.now();
    const record: RunRecord = {
      seq,
      jobId: job.id,
      scheduledAt: tick,
      startedAt,
      durationMs: null,
      status: "running",
      attempt: 1,
    };
    const run: LiveRun = { record, definition: job.definition, waited };
    job.state.runCount++;
    job.state.lastRun = startedAt;
    const live = this.#live.get(job.id) ?? new Set();
    this.#live.set(job.id, live.add(run));
    this.#count++;
    return { entries: this.#settings.history.set(record), events: [], starts: [run] };
  }

  /** Stores a decision together with the job's new state, then does what it says. */
  async commit(job: Job, decision: Decision, ready?: Promise<void>): Promise<void> {
    const { journal, history, emit } = this.#settings;
    job.look();
    const { entries, events, starts } = decision;
    try {
      await Promise.all([journal.write([job.stateEntry(), ...entries], history.prune()), ready]);
    } catch (error) {
      for (const run of starts) this.#forget(run);
      throw error;
    }
    for (const event of events) emit(event);
    for (const run of starts) this.#launch(run);
  }

  #launch(run: LiveRun): void {
    const ongoing = this.#go(run).finally(() => this.#ongoing.delete(ongoing));
    this.#ongoing.add(ongoing);
    // Where the store fails, it still says `running`, which the next start of the VM corrects.
    ongoing.catch(() => undefined);
    this.#settings.keepAwake(ongoing);
  }

  async #go(run: LiveRun): Promise<void> {
    const { emit, now } = this.#settings;
    let outcome: RunOutcome = { ...stopped(), outputTail: "" };
    const startedAt = performance.now();
    await this.#places.acquire();
    try {
      if (!this.#stopping) {
        emit(eventOf(run.definition, run.record, now()));
        outcome = await runAction(run.definition, this.#settings);
      }
    } finally {
      this.#places.release();
    }
    await this.#end(run, outcome, Math.round(performance.now() - startedAt));
  }

  async #end(run: LiveRun, outcome: RunOutcome, durationMs: number): Promise<void> {
    const { journal, history, emit, now } = this.#settings;
    const { status, exitCode, reason, error, outputTail, sessionId } = outcome;
    const record: RunRecord = {
      ...run.record,
      durationMs,
      status,
      ...(exitCode !== undefined && { exitCode }),
      ...(reason !== undefined && { reason }),
      ...(sessionId !== undefined && { sessionId }),
    };
    this.#forget(run);
    const entries = history.set(record, outputTail);
    const event = eventOf(run.definition, record, now(), error);
    const job = this.#settings.job(record.jobId);
    if (job === undefined) await journal.write(entries, history.prune());
    else await this.commit(job, merged({ entries, events: [], starts: [] }, this.next(job)));
    emit(event);
  }

  #forget(run: LiveRun): void {
    const live = this.#live.get(run.record.jobId);
    if (!live?.delete(run)) return;
    this.#count--;
    if (live.size === 0) this.#live.delete(run.record.jobId);
  }

  /** Nothing starts any more. */
  stop(): void {
    this.#stopping = true;
  }

  /** Resolves when every run has ended and is stored. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#ongoing);
  }
}

/** Several decisions about one job as one. */
export function merged(...decisions: Decision[]): Decision {
  return {
    entries: decisions.flatMap(({ entries }) => entries),
    events: decisions.flatMap(({ events }) => events),
    starts: decisions.flatMap(({ starts }) => starts),
  };
}
