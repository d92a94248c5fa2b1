import type { CronEvent } from "../../api/events.ts";
import { Semaphore } from "../../base/semaphore.ts";
import type { StoreEntry } from "../store/store.ts";
import { type RunCommand, type RunOutcome, type RunPrompt, runAction, stopped } from "./action.ts";
import type { CronJob, JobDefinition } from "./cron-job.ts";
import type { CronStore } from "./cron-store.ts";
import { eventOf, type RunHistory, type RunRecord } from "./history.ts";
import { MAX_CRON_CONCURRENT, MAX_CRON_LIVE_RUNS } from "./limits.ts";
import { withTick } from "./spans.ts";

interface RunsDeps {
  records: CronStore;
  history: RunHistory;
  run: RunCommand;
  prompt: RunPrompt;
  now(): number;
  /** The current job with an id. It may have replaced the job that began a run. */
  job(id: string): CronJob | undefined;
  emit(event: CronEvent): void;
  keepAwake(work: Promise<unknown>): void;
}

interface LiveRun {
  record: RunRecord;
  definition: JobDefinition;
  /** Whether it waited for an earlier run of its job. */
  waited: boolean;
}

/** Consequences of a decision about a job. They follow once the decision is stored. */
export interface Decision {
  entries: StoreEntry[];
  events: CronEvent[];
  starts: LiveRun[];
  /** Runs that the decision added to the history. */
  added: RunRecord[];
}

/** The runs of a VM's jobs: decides which run may start, runs it, and records how it ended. */
export class Runs {
  readonly #deps: RunsDeps;
  readonly #live = new Map<string, Set<LiveRun>>();
  readonly #ongoing = new Set<Promise<void>>();
  readonly #slots = new Semaphore(MAX_CRON_CONCURRENT);
  #count = 0;
  #stopping = false;

  constructor(deps: RunsDeps) {
    this.#deps = deps;
  }

  isRunning(jobId: string): boolean {
    return this.#live.has(jobId);
  }

  /** Decides on a run for a tick or a caller, by the job's overlap policy. Changes the job and stores nothing. */
  requestRun(job: CronJob, tick: number, seq = this.#deps.history.take()): Decision {
    const { overlap } = job.definition;
    const { pending } = job.state;
    if (overlap === "allow") return this.#startRun(job, { tick, seq, waited: false });
    const busy = this.isRunning(job.id) || pending.length > 0;
    if (!busy) return this.#startRun(job, { tick, seq, waited: false });
    if (overlap === "skip") return this.recordTick(job, { tick, seq, status: "skipped", reason: "overlap" });
    if (pending.some(({ why }) => why === "queue")) {
      return this.recordTick(job, { tick, seq, status: "skipped", reason: "queue_full" });
    }
    pending.push({ seq, tick, why: "queue" });
    return merged();
  }

  /** Like `requestRun`, for a scheduled tick. Remembers the tick, so that it does not run twice. */
  requestTick(job: CronJob, tick: number): Decision {
    job.state.spans = withTick(job.state.spans, tick, job.schedule);
    return this.requestRun(job, tick);
  }

  /** Queues ticks for `catchUp: "all"`. They run one after the other. */
  queueTicks(job: CronJob, ticks: readonly number[]): Decision {
    for (const tick of ticks) {
      job.state.spans = withTick(job.state.spans, tick, job.schedule);
      job.state.pending.push({ seq: this.#deps.history.take(), tick, why: "catchUp" });
    }
    return this.startNext(job);
  }

  /** Starts the next waiting run, unless an earlier run blocks it. */
  startNext(job: CronJob): Decision {
    const { pending, paused } = job.state;
    const live = [...(this.#live.get(job.id) ?? [])];
    const isBlocked =
      job.definition.overlap === "allow" ? live.some(({ waited }) => waited) : live.length > 0;
    if (paused || isBlocked || this.#stopping) return merged();
    const first = pending.shift();
    return first === undefined
      ? merged()
      : this.#startRun(job, { tick: first.tick, seq: first.seq, waited: true });
  }

  /** Records a tick that does not run. */
  recordTick(
    job: CronJob,
    { tick, seq, ...why }: { tick: number; seq: number } & Pick<RunRecord, "status" | "reason" | "ticks">,
  ): Decision {
    const record = recordOf(job, seq, tick, why);
    const entries = this.#deps.history.set(record);
    const events = [eventOf(job.definition, record, this.#deps.now())];
    return { entries, events, starts: [], added: [record] };
  }

  #startRun(
    job: CronJob,
    { tick, seq, waited }: { tick: number; seq: number } & Pick<LiveRun, "waited">,
  ): Decision {
    if (this.#count >= MAX_CRON_LIVE_RUNS) {
      return this.recordTick(job, { tick, seq, status: "skipped", reason: "limit_exceeded" });
    }
    const startedAt = this.#deps.now();
    const record = recordOf(job, seq, tick, { status: "running", startedAt });
    const run: LiveRun = { record, definition: job.definition, waited };
    job.state.runCount++;
    job.state.lastRun = startedAt;
    const live = this.#live.get(job.id) ?? new Set();
    this.#live.set(job.id, live.add(run));
    this.#count++;
    return { entries: this.#deps.history.set(record), events: [], starts: [run], added: [record] };
  }

  /**
   * Stores a decision together with the job's new state, then sends its events and starts its runs. A decision that is not stored is
   * undone.
   *
   * @param alarmed settles when the alarm for the new state is set. Its failure is thrown, and the decision holds: it is stored
   */
  async commit(job: CronJob, decision: Decision, alarmed?: Promise<void>): Promise<void> {
    const { emit } = this.#deps;
    const [stored, alarm] = await Promise.allSettled([this.#store(job, decision), alarmed]);
    if (stored.status === "rejected") throw stored.reason;
    for (const event of decision.events) emit(event);
    for (const run of decision.starts) this.#launch(run);
    if (alarm.status === "rejected") throw alarm.reason;
  }

  async #store(job: CronJob, { entries, starts, added }: Decision): Promise<void> {
    const { records, history } = this.#deps;
    try {
      await job.store((state) => records.write([state, ...entries], history.prune()));
    } catch (error) {
      for (const run of starts) this.#forget(run);
      const gone = history.drop(added);
      // The write may have succeeded although its answer was lost. Another job may have the keys of this one by now.
      const state = this.#deps.job(job.id) === job ? [job.stateEntry()] : [];
      await records.write(state, gone).catch(() => undefined);
      throw error;
    }
  }

  #launch(run: LiveRun): void {
    const ongoing = this.#run(run).finally(() => this.#ongoing.delete(ongoing));
    this.#ongoing.add(ongoing);
    // If the store fails, the record still says `running`. The next start of the VM corrects it.
    ongoing.catch(() => undefined);
    this.#deps.keepAwake(ongoing);
  }

  async #run(run: LiveRun): Promise<void> {
    const { emit, now } = this.#deps;
    let outcome: RunOutcome = { ...stopped(), outputTail: "" };
    const startedAt = performance.now();
    await this.#slots.run(async () => {
      if (this.#stopping) return;
      emit(eventOf(run.definition, run.record, now()));
      outcome = await runAction(run.definition, this.#deps);
    });
    await this.#end(run, outcome, Math.round(performance.now() - startedAt));
  }

  async #end(run: LiveRun, outcome: RunOutcome, durationMs: number): Promise<void> {
    const { records, history, emit, now } = this.#deps;
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
    const job = this.#deps.job(record.jobId);
    if (job === undefined) await records.write(entries, history.prune());
    else await this.commit(job, merged({ ...merged(), entries }, this.startNext(job)));
    emit(event);
  }

  #forget(run: LiveRun): void {
    const live = this.#live.get(run.record.jobId);
    if (!live?.delete(run)) return;
    this.#count--;
    if (live.size === 0) this.#live.delete(run.record.jobId);
  }

  /** Ends the records of runs that the last server left running when it died. */
  async endUnfinished(): Promise<void> {
    const { records, history, emit, now } = this.#deps;
    const { status, reason = "", error } = stopped();
    await Promise.all(
      history.unfinished.map(async (run) => {
        const record = { ...run, status, reason };
        await records.write(history.set(record));
        const job = this.#deps.job(run.jobId);
        if (job !== undefined) emit(eventOf(job.definition, record, now(), error));
      }),
    );
  }

  /** Starts no more runs. */
  stop(): void {
    this.#stopping = true;
  }

  /** Resolves when every run has ended and is stored. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#ongoing);
  }
}

function recordOf(
  { id }: CronJob,
  seq: number,
  tick: number,
  more: Pick<RunRecord, "status"> & Partial<RunRecord>,
): RunRecord {
  return { seq, jobId: id, scheduledAt: tick, startedAt: null, durationMs: null, attempt: 1, ...more };
}

/** Joins several decisions about one job. */
export function merged(...decisions: Decision[]): Decision {
  return {
    entries: decisions.flatMap(({ entries }) => entries),
    events: decisions.flatMap(({ events }) => events),
    starts: decisions.flatMap(({ starts }) => starts),
    added: decisions.flatMap(({ added }) => added),
  };
}
