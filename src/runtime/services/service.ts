import { constants } from "node:os";
import type { OutputStream } from "../../api/methods/process-types.ts";
import type { ServiceInfo, ServiceLogs, ServiceOptions, ServiceState } from "../../api/methods/services.ts";
import { within } from "../../base/within.ts";
import { type ReplayBudget, ReplayBuffer, splitEvent } from "../processes/replay-buffer.ts";
import type { SandboxProcess } from "../sandbox/processes.ts";
import { SERVICE_LOG_BYTES, SERVICE_READY_MS, SERVICE_STOP_MS } from "./limits.ts";

/** A service that has run for this long has not failed at its start. In milliseconds. */
const STEADY_MS = 10_000;

const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [1_000, 60_000];

interface ServiceDeps {
  spawn(definition: ServiceOptions): Promise<SandboxProcess>;
  /** Resolves when a port listens. */
  listens(port: number, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Reports a process that runs. */
  running(definition: ServiceOptions, ended: Promise<unknown>): void;
  /** The state has changed. */
  changed(service: Service): void;
  /** Files may have changed. */
  wrote(): void;
  /** Output that the VM keeps. */
  kept: ReplayBudget;
}

/** One service of a VM: its process, its restarts and its log. */
export class Service {
  readonly definition: ServiceOptions;
  readonly #deps: ServiceDeps;
  readonly #log: ReplayBuffer<{ stream: OutputStream }>;
  #state: ServiceState;
  #process: SandboxProcess | undefined;
  #ended: Promise<void> | undefined;
  /** The last process of this boot. Its children may outlive it, and keep the service's port. */
  #last: SandboxProcess | undefined;
  /** Aborted when the process ends, or is no longer this service's. */
  #over: AbortController | undefined;
  #pause: NodeJS.Timeout | undefined;
  #restarts = 0;
  /** Failed starts in a row. */
  #failures = 0;
  #exitCode: number | null = null;
  #error: string | null = null;
  /** Counts starts and halts, so that what belongs to an earlier start changes nothing. */
  #turn = 0;

  constructor(definition: ServiceOptions, deps: ServiceDeps, isStopped: boolean) {
    this.definition = definition;
    this.#deps = deps;
    this.#log = new ReplayBuffer(SERVICE_LOG_BYTES, deps.kept);
    this.#state = isStopped ? "stopped" : "waiting";
  }

  get state(): ServiceState {
    return this.#state;
  }

  get info(): ServiceInfo {
    const { env = {}, ...shown } = structuredClone(this.definition);
    return {
      ...shown,
      env: Object.keys(env),
      state: this.#state,
      pid: this.#process?.pid ?? null,
      restarts: this.#restarts,
      exitCode: this.#exitCode,
      error: this.#error,
    };
  }

  logs(after: number): ServiceLogs {
    return this.#log.after(after);
  }

  /** Drops the log, when the service leaves the table. */
  forget(): void {
    this.#log.clear();
  }

  /** Starts the program, unless it runs. Never rejects. */
  async start(): Promise<void> {
    if (this.#process !== undefined || this.#state === "starting") return;
    clearTimeout(this.#pause);
    const turn = ++this.#turn;
    this.#error = null;
    this.#set("starting");
    let process: SandboxProcess;
    try {
      await this.#endLast();
      process = await this.#deps.spawn(this.definition);
    } catch (error) {
      if (turn === this.#turn) this.#end(null, (error as Error).message);
      return;
    }
    if (turn !== this.#turn) return await process.killTree();
    this.#process = process;
    this.#last = process;
    const startedAt = performance.now();
    process.onOutput((stream, data) => {
      for (const piece of splitEvent(data)) this.#log.push({ stream }, piece);
    });
    const over = new AbortController();
    this.#over = over;
    this.#ended = process.exited.then(({ exitCode }) => {
      over.abort();
      this.#deps.wrote();
      if (turn !== this.#turn) return;
      this.#process = undefined;
      // A service whose port did not listen has failed, however long it ran.
      if (this.#error === null && performance.now() - startedAt >= STEADY_MS) this.#failures = 0;
      this.#end(exitCode, this.#error);
    });
    this.#deps.running(this.definition, this.#ended);
    const { port } = this.definition;
    if (port === undefined) return this.#set("ready");
    void this.#awaitPort(port, turn, process, over.signal);
  }

  /** Ends the program and its children as its user asked: it does not start again. */
  async stop(): Promise<void> {
    const process = this.#halt("stopped");
    if (process !== undefined) {
      await process.signalAll(constants.signals.SIGTERM, "job").catch(() => undefined);
      await within(this.#ended ?? Promise.resolve(), SERVICE_STOP_MS);
    }
    await this.#endLast();
  }

  /** The sandbox is going down, and its processes with it. A service that was to run waits for the next boot. */
  down(): void {
    const isOver = ["stopped", "exited", "failed"].includes(this.#state);
    this.#halt(isOver ? this.#state : "waiting");
    this.#last = undefined;
  }

  /** Lets a service that has ended start again. */
  reset(): void {
    this.#restarts = 0;
    this.#failures = 0;
    if (this.#process === undefined) this.#halt("waiting");
  }

  /** Kills what is left of the last process. */
  async #endLast(): Promise<void> {
    const last = this.#last;
    await last?.killTree();
    // A start has put a newer process there meanwhile.
    if (this.#last === last) this.#last = undefined;
  }

  #halt(state: ServiceState): SandboxProcess | undefined {
    const process = this.#process;
    this.#turn += 1;
    this.#process = undefined;
    // A look at the ports of a VM that went down would boot it again.
    this.#over?.abort();
    clearTimeout(this.#pause);
    this.#set(state);
    return process;
  }

  async #awaitPort(port: number, turn: number, process: SandboxProcess, over: AbortSignal): Promise<void> {
    try {
      await this.#deps.listens(port, SERVICE_READY_MS, over);
      if (turn === this.#turn && this.#process !== undefined) this.#set("ready");
    } catch {
      if (turn !== this.#turn || over.aborted) return;
      this.#error = `port ${port} did not listen within ${SERVICE_READY_MS} ms`;
      await process.killTree();
    }
  }

  #end(exitCode: number | null, error: string | null): void {
    const { restart = "on-failure", backoff = {} } = this.definition;
    this.#exitCode = exitCode;
    this.#error = error;
    const failed = exitCode !== 0;
    if (restart === "never" || (restart === "on-failure" && !failed)) {
      this.#set(failed ? "failed" : "exited");
      return;
    }
    const { initialMs = FIRST_PAUSE_MS, maxMs = LONGEST_PAUSE_MS } = backoff;
    const pauseMs = Math.min(maxMs, initialMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    this.#set("backoff");
    this.#pause = setTimeout(() => {
      this.#restarts += 1;
      void this.start();
    }, pauseMs).unref();
  }

  #set(state: ServiceState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#deps.changed(this);
  }
}
