import { vmStopped } from "../../api/errors.ts";
import type { CronEventPayload } from "../../api/events.ts";
import type { CronMethods } from "../../api/methods/cron.ts";
import type {
  CronJobInfo,
  CronRun,
  ListCronRunsOptions,
  ScheduledCronJob,
  SerializableCronJobOptions,
} from "../../api/methods/cron-types.ts";
import { loadOnce } from "../../base/load-once.ts";
import { pause } from "../../base/pace.ts";
import type { VmHooks } from "../hooks.ts";
import { requireCapability } from "../sandbox/sandbox.ts";
import { PREFIXES } from "../store/keys.ts";
import type { VmServices } from "../vm-services.ts";
import type { RunCommand, RunPrompt } from "./action.ts";
import { TimerAlarm } from "./alarm.ts";
import type { CronJob } from "./cron-job.ts";
import { CronStore } from "./cron-store.ts";
import { RunHistory, runId } from "./history.ts";
import { type Decision, merged, Runs } from "./runs.ts";
import { JobTable } from "./table.ts";
import { dueTicks } from "./ticks.ts";

interface CronDeps extends Pick<VmServices, "store" | "runtime" | "keepAwake" | "onFailure"> {
  run: RunCommand;
  prompt: RunPrompt;
  /** @throws AgentVmError `unknown_agent_type`, `agent_not_installed` */
  checkAgent(agentType: string): void;
  emit(name: "cronEvent", payload: CronEventPayload): void;
  /** See VmHooks. */
  wakeAt?: VmHooks["wakeAt"];
}

interface CronOptions {
  /** Time zone of jobs without their own. */
  timezone: string;
  /** @default Date.now */
  now?: () => number;
  /** Time since which this process fires ticks, in Unix milliseconds. @default its start */
  aliveSince?: number;
}

/**
 * The cron jobs of one VM. Each decision is stored before its consequences, and the next alarm is set, or has failed, before a run
 * starts. So the server may die at any time: afterwards the jobs are there, queued runs still run, and no tick runs twice.
 */
export class Cron implements CronMethods {
  readonly #deps: CronDeps;
  readonly #timezone: string;
  readonly #now: () => number;
  readonly #aliveSince: number;
  readonly #records: CronStore;
  readonly #history: RunHistory;
  readonly #runs: Runs;
  readonly #table = new JobTable();
  readonly #timer: TimerAlarm;
  readonly #load = loadOnce(() => this.#read());
  #firing: Promise<void> | undefined;
  #stopped = false;

  constructor(deps: CronDeps, options: CronOptions) {
    this.#deps = deps;
    this.#timezone = options.timezone;
    this.#now = options.now ?? Date.now;
    this.#aliveSince = options.aliveSince ?? performance.timeOrigin;
    this.#records = new CronStore(deps.store);
    this.#history = new RunHistory(deps.store);
    this.#timer = new TimerAlarm(() => void this.ring().catch(() => undefined), this.#now);
    this.#runs = new Runs({
      records: this.#records,
      history: this.#history,
      run: deps.run,
      prompt: deps.prompt,
      now: this.#now,
      job: (id) => this.#table.get(id),
      emit: (event) => deps.emit("cronEvent", { event }),
      keepAwake: (work) => deps.keepAwake(work),
    });
  }

  async scheduleCron(options: SerializableCronJobOptions): Promise<ScheduledCronJob> {
    await this.#ready();
    requireCapability(this.#deps.runtime, "processes", "scheduleCron");
    const { action } = options;
    if (action.type === "session") this.#deps.checkAgent(action.agentType);
    const timezone = this.#timezone;
    const isIdle = (id: string) => !this.#runs.isRunning(id);
    const { job, replaced, dropped } = this.#table.add(options, { timezone, now: this.#now() }, isIdle);
    try {
      await Promise.all([
        this.#records.write([job.definitionEntry(), job.stateEntry()], dropped?.keys()),
        this.#updateAlarm(),
      ]);
    } catch (error) {
      // The caller gets an error, so the job must not fire after a restart.
      await this.#putBack(job, this.#table.undo(job, [replaced, dropped]));
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
    const [deleted, alarmed] = await Promise.allSettled([
      this.#records.write([], job.keys()),
      this.#updateAlarm(),
    ]);
    if (deleted.status === "rejected") {
      await this.#putBack(job, this.#table.undo(undefined, [job]));
      throw deleted.reason;
    }
    if (alarmed.status === "rejected") throw alarmed.reason;
  }

  async listCronRuns(jobId?: string, options?: ListCronRunsOptions): Promise<CronRun[]> {
    await this.#ready();
    return this.#history.list(jobId, options);
  }

  async runCronJob(id: string): Promise<{ runId: string }> {
    await this.#ready();
    const job = this.#table.find(id);
    const seq = this.#history.take();
    await this.#runs.commit(job, this.#runs.requestRun(job, this.#now(), seq));
    return { runId: runId(seq) };
  }

  async pauseCronJob(id: string): Promise<void> {
    await this.#ready();
    const job = this.#table.find(id);
    job.state.paused = true;
    await this.#change(job, merged());
  }

  async resumeCronJob(id: string): Promise<void> {
    await this.#ready();
    const job = this.#table.find(id);
    if (!job.state.paused) return;
    job.state.paused = false;
    job.state.cursor = this.#now();
    await this.#change(job, this.#runs.startNext(job));
  }

  /** Fires due jobs and sets the next alarm. Call it when the VM wakes; calls at other times do no harm. */
  async ring(): Promise<void> {
    await this.#ready();
    // Jobs may have become due since the call under way passed them.
    while (this.#firing !== undefined) await this.#firing;
    this.#firing = this.#fireDue().finally(() => {
      this.#firing = undefined;
    });
    await this.#firing;
  }

  /** Fires nothing more. Live runs end with their VM. */
  stop(): void {
    this.#stopped = true;
    this.#timer.set(null);
    this.#runs.stop();
  }

  /** Resolves when all runs have ended and everything is stored. */
  async settled(): Promise<void> {
    await this.#firing?.catch(() => undefined);
    await this.#runs.settled();
    await this.#records.settled();
  }

  async #fireDue(): Promise<void> {
    const alarmed = Promise.withResolvers<void>();
    const failures: unknown[] = [];
    const note = (error: unknown) => void failures.push(error);
    const commits: Promise<void>[] = [];
    for (const job of this.#table.all()) {
      await pause();
      if (this.#stopped || this.#table.get(job.id) !== job || !job.isDue(this.#now())) continue;
      // Decision and write are in one turn, so that no other write of the job's state comes between.
      commits.push(this.#runs.commit(job, this.#decide(job), alarmed.promise).catch(note));
    }
    alarmed.resolve(this.#updateAlarm());
    await Promise.all([alarmed.promise.catch(note), ...commits]);
    if (failures.length > 0) throw failures[0];
  }

  #decide(job: CronJob): Decision {
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
      decisions.push(runs.recordTick(job, { tick: lastMissed, seq, ...why }));
    }
    decisions.push(runs.queueTicks(job, catchUp.slice(0, job.runsLeft)));
    for (const tick of fire) if (job.runsLeft > 0) decisions.push(runs.requestTick(job, tick));
    return merged(...decisions);
  }

  /**
   * Stores what a failed call has undone, and sets the alarm again. The writes of the call may have succeeded: an answer was lost, or
   * only the alarm has failed.
   *
   * @param job of the call
   * @param back jobs that are there again
   */
  async #putBack(job: CronJob, back: readonly CronJob[]): Promise<void> {
    const entries = back.flatMap((known) => [known.definitionEntry(), known.stateEntry()]);
    // A job that was scheduled after a cancellation has other keys.
    const gone = this.#table.get(job.id)?.number === job.number ? [] : job.keys();
    await Promise.allSettled([this.#records.write(entries, gone), this.#updateAlarm()]);
  }

  /** Stores a change that moves the job's next tick, together with the alarm. */
  async #change(job: CronJob, decision: Decision): Promise<void> {
    job.updateDue();
    try {
      await this.#runs.commit(job, decision, this.#updateAlarm());
    } catch (error) {
      // The job has its earlier tick again, or the alarm has failed.
      await this.#updateAlarm().catch(() => undefined);
      throw error;
    }
  }

  async #updateAlarm(): Promise<void> {
    if (this.#stopped) return;
    const { due } = this.#table;
    if (this.#deps.wakeAt === undefined) this.#timer.set(due);
    else await this.#deps.wakeAt(due);
  }

  async #ready(): Promise<void> {
    if (this.#stopped) throw vmStopped();
    await this.#load();
    if (this.#stopped) throw vmStopped();
  }

  async #read(): Promise<void> {
    const { store, onFailure } = this.#deps;
    if ((await store.list(PREFIXES.cron, { limit: 1 })).length === 0) return;
    await this.#history.load(onFailure);
    await this.#table.load(store, onFailure);
    for (const { state } of this.#table.all()) {
      for (const { seq } of state.pending) this.#history.reserve(seq);
    }
    await this.#runs.endUnfinished();
    // Queued runs waited for runs that have died with the last server.
    for (const job of this.#table.all()) {
      if (job.state.pending.length > 0) await this.#runs.commit(job, this.#runs.startNext(job));
    }
  }
}
