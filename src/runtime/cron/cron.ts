import type { CronMethods } from "../../api/actions.ts";
import { cronJobNotFound, noKernelSandbox, vmStopped } from "../../api/errors.ts";
import type { CronEventPayload } from "../../api/events.ts";
import type {
  CronJobInfo,
  CronRun,
  ListCronRunsOptions,
  ScheduledCronJob,
  SerializableCronJobOptions,
} from "../../api/types.ts";
import { pause } from "../sandbox/pace.ts";
import type { Store } from "../store.ts";
import { type RunCommand, type RunPrompt, stopped } from "./action.ts";
import { TimerAlarm } from "./alarm.ts";
import { eventOf } from "./event.ts";
import { History, runId } from "./history.ts";
import type { Job } from "./job.ts";
import { Journal } from "./journal.ts";
import { type Decision, merged, Runs } from "./runs.ts";
import { JobTable } from "./table.ts";
import { dueTicks } from "./ticks.ts";

/** Prefix of everything that is stored here. */
const PREFIX = "cron/";

export interface CronHooks {
  emit(name: "cronEvent", payload: CronEventPayload): void;
  keepAwake(work: Promise<unknown>): void;
  /**
   * Asks for a call of `ring` at a time, in Unix milliseconds, or for none. Only the last time counts; calls at other
   * times do no harm. @default a timer of this process
   */
  wakeAt?(timestampMs: number | null): Promise<void> | void;
}

export interface CronSettings {
  store: Store;
  run: RunCommand;
  prompt: RunPrompt;
  /** Time zone of jobs that name none. */
  timezone: string;
  /** Whether there is something that commands can run in. */
  hasProcesses: boolean;
  /** @default Date.now */
  now?: () => number;
  /** Since when this process sees ticks come, in Unix milliseconds. @default its start */
  aliveSince?: number;
}

/**
 * Jobs by the clock. Every decision is stored before anything is done about it, and the next alarm is set before a run
 * starts: whenever the server dies, the jobs come back, what was promised still comes, and what ran does not run again.
 */
export class Cron implements CronMethods {
  readonly #hooks: CronHooks;
  readonly #settings: CronSettings;
  readonly #now: () => number;
  readonly #aliveSince: number;
  readonly #journal: Journal;
  readonly #history: History;
  readonly #runs: Runs;
  readonly #table = new JobTable();
  readonly #timer: TimerAlarm;
  #loading: Promise<void> | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;

  constructor(settings: CronSettings, hooks: CronHooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#now = settings.now ?? Date.now;
    this.#aliveSince = settings.aliveSince ?? performance.timeOrigin;
    this.#journal = new Journal(settings.store);
    this.#history = new History(settings.store);
    this.#timer = new TimerAlarm(() => void this.ring().catch(() => undefined), this.#now);
    this.#runs = new Runs({
      journal: this.#journal,
      history: this.#history,
      run: settings.run,
      prompt: settings.prompt,
      now: this.#now,
      job: (id) => this.#table.get(id),
      emit: (event) => hooks.emit("cronEvent", { event }),
      keepAwake: (work) => hooks.keepAwake(work),
    });
  }

  async scheduleCron(options: SerializableCronJobOptions): Promise<ScheduledCronJob> {
    await this.#ready();
    if (!this.#settings.hasProcesses) throw noKernelSandbox("scheduleCron");
    const { timezone } = this.#settings;
    const isIdle = (id: string) => !this.#runs.isRunning(id);
    const { job, replaced, dropped } = this.#table.add(options, { timezone, now: this.#now() }, isIdle);
    try {
      await Promise.all([
        this.#journal.write([job.definitionEntry(), job.stateEntry()], dropped?.keys()),
        this.#arm(),
      ]);
    } catch (error) {
      this.#table.undo(job, [replaced, dropped]);
      // It may be stored all the same, its answer lost: what nobody was promised must not fire after a restart.
      if (replaced === undefined) this.#journal.write([], job.keys()).catch(() => undefined);
      throw error;
    }
    return { id: job.id };
  }

  async listCronJobs(): Promise<CronJobInfo[]> {
    await this.#ready();
    return this.#table.all().map((job) => job.info(this.#runs.isRunning(job.id)));
  }

  async cancelCronJob(id: string): Promise<void> {
    await this.#ready();
    const job = this.#table.get(id);
    if (job === undefined) return;
    this.#table.delete(id);
    try {
      await Promise.all([this.#journal.write([], job.keys()), this.#arm()]);
    } catch (error) {
      this.#table.undo(undefined, [job]);
      throw error;
    }
  }

  async listCronRuns(jobId?: string, options?: ListCronRunsOptions): Promise<CronRun[]> {
    await this.#ready();
    return this.#history.list(jobId, options);
  }

  async runCronJob(id: string): Promise<{ runId: string }> {
    await this.#ready();
    const job = this.#find(id);
    const seq = this.#history.take();
    await this.#runs.commit(job, this.#runs.offer(job, this.#now(), seq));
    return { runId: runId(seq) };
  }

  async pauseCronJob(id: string): Promise<void> {
    await this.#ready();
    const job = this.#find(id);
    job.state.paused = true;
    await this.#runs.commit(job, merged(), this.#armAfter(job));
  }

  async resumeCronJob(id: string): Promise<void> {
    await this.#ready();
    const job = this.#find(id);
    if (!job.state.paused) return;
    job.state.paused = false;
    job.state.cursor = this.#now();
    try {
      await this.#runs.commit(job, this.#runs.next(job), this.#armAfter(job));
    } catch (error) {
      // The next attempt must not take it for done.
      job.state.paused = true;
      throw error;
    }
  }

  /** Fires what is due and sets the next alarm. May be called at any time, and has to be when the VM wakes. */
  async ring(): Promise<void> {
    await this.#ready();
    // One that comes while jobs are looked at waits for another look.
    while (this.#looking !== undefined) await this.#looking;
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** Nothing fires any more; runs that go on end with their VM. */
  stop(): void {
    this.#stopped = true;
    this.#timer.set(null);
    this.#runs.stop();
  }

  /** Resolves when all runs have ended and everything is stored. */
  async settled(): Promise<void> {
    await this.#looking?.catch(() => undefined);
    await this.#runs.settled();
    await this.#journal.settled();
  }

  async #look(): Promise<void> {
    const armed = Promise.withResolvers<void>();
    const failures: unknown[] = [];
    const note = (error: unknown) => void failures.push(error);
    const commits: Promise<void>[] = [];
    for (const job of this.#table.all()) {
      await pause();
      if (this.#stopped || !this.#isDue(job)) continue;
      // Stored in the same turn as it is decided, so that no other write of the job's state comes between.
      commits.push(this.#runs.commit(job, this.#decide(job), armed.promise).catch(note));
    }
    armed.resolve(this.#arm());
    await Promise.all([armed.promise.catch(note), ...commits]);
    if (failures.length > 0) throw failures[0];
  }

  #isDue(job: Job): boolean {
    const now = this.#now();
    // A clock that was set back makes the job look again from there.
    if (job.state.cursor > now && !job.state.paused) return true;
    return this.#table.get(job.id) === job && job.due !== undefined && job.due <= now;
  }

  #decide(job: Job): Decision {
    const runs = this.#runs;
    const { cursor, fire, catchUp, missed } = dueTicks(job.ticks, {
      now: this.#now(),
      aliveSince: this.#aliveSince,
    });
    job.state.cursor = cursor;
    const decisions: Decision[] = [];
    const lastMissed = missed.at(-1);
    if (lastMissed !== undefined) {
      const seq = this.#history.take();
      const why = { status: "missed", reason: "not_running", ticks: missed.length } as const;
      decisions.push(runs.pass(job, { tick: lastMissed, seq, ...why }));
    }
    decisions.push(runs.promise(job, catchUp.slice(0, job.runsLeft)));
    for (const tick of fire) if (job.runsLeft > 0) decisions.push(runs.offerTick(job, tick));
    return merged(...decisions);
  }

  #find(id: string): Job {
    const job = this.#table.get(id);
    if (job === undefined) throw cronJobNotFound(id);
    return job;
  }

  #armAfter(job: Job): Promise<void> {
    job.look();
    return this.#arm();
  }

  async #arm(): Promise<void> {
    if (this.#stopped) return;
    const { due } = this.#table;
    if (this.#hooks.wakeAt === undefined) this.#timer.set(due);
    else await this.#hooks.wakeAt(due);
  }

  async #ready(): Promise<void> {
    if (this.#stopped) throw vmStopped();
    this.#loading ??= this.#load().catch((error: unknown) => {
      // The next call tries again.
      this.#loading = undefined;
      throw error;
    });
    await this.#loading;
    if (this.#stopped) throw vmStopped();
  }

  async #load(): Promise<void> {
    const { store } = this.#settings;
    if ((await store.list(PREFIX, { limit: 1 })).length === 0) return;
    await this.#history.load();
    await this.#table.load(store);
    for (const { state } of this.#table.all()) {
      for (const { seq } of state.pending) this.#history.reserve(seq);
    }
    await this.#markUnfinished();
    // What waited for a run that died waits no longer.
    for (const job of this.#table.all()) {
      if (job.state.pending.length > 0) await this.#runs.commit(job, this.#runs.next(job));
    }
  }

  async #markUnfinished(): Promise<void> {
    const { status, reason, error } = stopped();
    await Promise.all(
      this.#history.unfinished.map(async (run) => {
        const record = { ...run, status, reason: reason ?? "" };
        await this.#journal.write(this.#history.set(record));
        const job = this.#table.get(run.jobId);
        const event = job && eventOf(job.definition, record, this.#now(), error);
        if (event) this.#hooks.emit("cronEvent", { event });
      }),
    );
  }
}
