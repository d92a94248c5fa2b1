import type { Logger } from "pino";
import type { VmReport } from "../runtime/reports.ts";
import { Summary } from "./summary.ts";

/**
 * Pause between two lines about the same kind of frequent event of one VM.
 * @unit ms
 */
const SUMMARY_MS = 10_000;

/** Level and text of the end of a boot. */
const ENDS = {
  sleep: ["info", "VM is down"],
  destroy: ["info", "VM is down for its destruction"],
  error: ["warn", "VM crashed"],
} as const;

/** Writes the life of one VM to the server's log, one line an event. */
export class VmLog {
  readonly #log: Logger;
  readonly #denied: Summary;
  readonly #limits: Summary;
  readonly #slow: Summary;

  /** @param log carries the VM's key */
  constructor(log: Logger) {
    this.#log = log;
    this.#denied = new Summary(SUMMARY_MS, (_name, count) =>
      log.info({ count, msg: "outbound connections were denied" }),
    );
    this.#limits = new Summary(SUMMARY_MS, (limit, count) =>
      log.info({ limit, count, msg: "limit reached" }),
    );
    this.#slow = new Summary(SUMMARY_MS, (_name, count) => log.warn({ count, msg: "storage is slow" }));
  }

  report(report: VmReport): void {
    if (report.kind === "booted") this.#log.info({ ms: round(report.ms), msg: "VM booted" });
    else if (report.kind === "bootFailed")
      this.#log.error({ ms: round(report.ms), err: report.error, msg: "VM did not boot" });
    else if (report.kind === "down") {
      const { reason, ms, awakeMs } = report;
      const [level, msg] = ENDS[reason];
      this.#log[level]({ reason, ms: round(ms), awakeMs: round(awakeMs), msg });
    } else if (report.kind === "outOfMemory")
      this.#log.warn({ kills: report.kills, msg: "the kernel killed processes at the memory limit" });
    else if (report.kind === "slowStorage") this.#slow.note("");
    else if (report.kind === "denied") this.#denied.note("");
  }

  /** A call has failed with `limit_exceeded`. */
  limitReached(limit: string): void {
    this.#limits.note(limit);
  }

  flush(): void {
    for (const summary of [this.#denied, this.#limits, this.#slow]) summary.flush();
  }
}

function round(ms: number): number {
  return Math.round(ms);
}
