import type { Logger } from "pino";
import type { ActorLog } from "../rivet/log.ts";
import type { Report, VmReport } from "../runtime/reports.ts";
import { Audit, type AuditActor, type AuditEvent, type AuditOption } from "./audit.ts";
import { addSpan, asSpan } from "./spans.ts";
import { Summary } from "./summary.ts";
import { VmLog } from "./vm-log.ts";

/**
 * Pause between two lines about failures of the audit.
 * @unit ms
 */
const AUDIT_FAILURE_MS = 60_000;

/**
 * Pause between two events of the audit about requests without access.
 * @unit ms
 */
const STRANGERS_MS = 1_000;

/** A call of a method that has ended. */
export interface EndedCall {
  who: AuditActor;
  method: string;
  /** Names of the method's arguments. */
  names: readonly string[];
  args: readonly unknown[];
  /** `undefined` after success. */
  error: { code: string; metadata?: unknown } | undefined;
  ms: number;
}

/** Counts what happens. */
interface Meter {
  report(report: VmReport): void;
  /** @param outcome `"ok"`, or the error's code */
  called(method: string, outcome: string, ms: number): void;
  /** A request has been refused. @param code of the error */
  refused(code: string): void;
}

interface MonitorOptions {
  audit?: AuditOption | undefined;
  /** @default nothing is counted */
  meter?: Meter;
  /** Called when any VM has booted. */
  onBoot?(): void;
}

/** Watches one VM. */
export interface VmMonitor {
  /** Writes to the server's log, with the VM's key in each line. */
  readonly log: ActorLog;
  readonly report: Report;
  /** Runs a call as a span. */
  traced<Result>(method: string, call: () => Promise<Result>): Promise<Result>;
  called(call: EndedCall): void;
  /** The VM's actor has ended. */
  end(): void;
}

/** Subject of a call. */
type Subject = Pick<AuditEvent, "actor" | "vm" | "token">;

/** Watches one server, for its log, its metrics and its audit. */
export class Monitor {
  readonly log: Logger;
  readonly #audit: Audit | undefined;
  readonly #meter: Meter | undefined;
  readonly #onBoot: (() => void) | undefined;
  readonly #strangers = new Summary(STRANGERS_MS, (refusal, count) => {
    const [method = "", outcome = ""] = refusal.split(" ");
    this.#note({ who: { kind: "stranger" }, method, outcome, durationMs: 0, count }, [], []);
  });

  constructor(log: Logger, { audit, meter, onBoot }: MonitorOptions = {}) {
    this.log = log;
    this.#meter = meter;
    this.#onBoot = onBoot;
    let failure: unknown;
    const failures = new Summary(AUDIT_FAILURE_MS, (_name, count) =>
      log.error({ count, err: failure, msg: "the audit cannot be written" }),
    );
    this.#audit =
      audit &&
      new Audit(audit, (error) => {
        failure = error;
        failures.note("");
      });
  }

  /**
   * A request has been refused.
   *
   * @param code of the error
   * @param method name of the method that it calls, if the audit shows it
   */
  refused(code: string, method?: string): void {
    this.#meter?.refused(code);
    if (method !== undefined && this.#audit !== undefined) this.#strangers.note(`${method} ${code}`);
  }

  /** A call of a method has ended. */
  called(subject: Subject, { who, method, names, args, error, ms }: EndedCall): void {
    const outcome = error?.code ?? "ok";
    this.#meter?.called(method, outcome, ms);
    const durationMs = Math.round(ms * 1000) / 1000;
    this.#note({ who, ...subject, method, outcome, durationMs }, names, args);
  }

  /** Writes down what has been counted so far. */
  flush(): void {
    this.#strangers.flush();
  }

  /** @param actor name of the actor in `use` */
  vm(actor: string, key: readonly string[]): VmMonitor {
    const log = this.log.child({ actor, vm: key });
    const lines = new VmLog(log);
    const facts = { "agent_vm.actor": actor, "agent_vm.vm": [...key] };
    return {
      log,
      report: (report) => {
        if (report.kind === "booted") this.#onBoot?.();
        if (report.kind === "booted") addSpan("boot", facts, report.ms);
        else if (report.kind === "checkpoint") addSpan("checkpoint", facts, report.ms);
        lines.report(report);
        this.#meter?.report(report);
      },
      traced: (method, call) => asSpan(method, facts, call),
      called: (call) => {
        if (call.error?.code === "limit_exceeded") lines.limitReached(limitOf(call.error));
        this.called({ actor, vm: key }, call);
      },
      end: () => lines.flush(),
    };
  }

  #note(event: Omit<AuditEvent, "at">, names: readonly string[], args: readonly unknown[]): void {
    this.#audit?.called({ at: new Date().toISOString(), ...event }, names, args);
  }
}

/** Name of the limit that an error names. */
function limitOf(error: unknown): string {
  const { limit } = (error as { metadata?: { limit?: unknown } }).metadata ?? {};
  return typeof limit === "string" ? limit : "unknown";
}
