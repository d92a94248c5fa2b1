import { constants } from "node:os";
import type { ExitReason } from "../../api/methods/process-types.ts";
import type { ProcessEnd } from "../../api/methods/transport.ts";
import type { ExitStatus, SandboxProcess } from "../sandbox/processes.ts";
import type { VmServices } from "../vm-services.ts";

const { SIGHUP, SIGINT, SIGQUIT, SIGTERM } = constants.signals;
const STOP_REQUESTS = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/** The life of a command. Its timeout, or too much output, may cut it short. */
export class CommandLife {
  /** Signals that the API has sent to the command. */
  readonly signalsSent = new Set<number>();
  readonly #process: SandboxProcess;
  readonly #vm: Pick<VmServices, "isStopping" | "report">;
  readonly #startedAt: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #cut: "timeout" | "outputLimit" | undefined;
  #killing: Promise<void> | undefined;

  /**
   * @param timeout milliseconds after which the command's tree is killed; 0 means no timeout
   * @param startedAt start on the clock of `performance.now()`
   */
  constructor(
    process: SandboxProcess,
    vm: Pick<VmServices, "isStopping" | "report">,
    timeout = 0,
    startedAt = performance.now(),
  ) {
    this.#process = process;
    this.#vm = vm;
    this.#startedAt = startedAt;
    if (timeout > 0) this.#timer = setTimeout(() => this.cutShort("timeout"), timeout);
  }

  /** Kills the command's tree, once. */
  cutShort(why: "timeout" | "outputLimit"): void {
    if (this.#cut !== undefined) return;
    this.#cut = why;
    this.#killing = this.#process.killTree();
  }

  /** Waits for the end of the command, and reports it to the server. */
  async end(): Promise<ProcessEnd & ExitStatus> {
    const { exitCode, signal, oom, ...usage } = await this.#process.exited;
    clearTimeout(this.#timer);
    // The command ends first. Its daemons must be gone too before its end is told.
    await this.#killing;
    const reason = this.#reason(signal, oom);
    const durationMs = Math.round((performance.now() - this.#startedAt) * 1000) / 1000;
    if (usage.oomKills > 0) this.#vm.report({ kind: "outOfMemory", kills: usage.oomKills });
    this.#vm.report({ kind: "commandEnded", ms: durationMs, reason });
    return { exitCode, signal, timedOut: this.#cut === "timeout", reason, durationMs, ...usage };
  }

  #reason(signal: NodeJS.Signals | null, oom: boolean): ExitReason {
    if (this.#cut !== undefined) return this.#cut;
    if (this.#vm.isStopping()) return "vm_stopped";
    if (oom) return "oom";
    if (signal !== null) return this.signalsSent.has(constants.signals[signal]) ? "killed" : "signal";
    // A program may clean up and exit after a stop request. An exit after any other signal is its own decision.
    return STOP_REQUESTS.some((request) => this.signalsSent.has(request)) ? "killed" : "exit";
  }
}
