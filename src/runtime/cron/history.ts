import { invalidArgument } from "../../api/errors.ts";
import type { CronEvent } from "../../api/events.ts";
import { MAX_CRON_RUNS } from "../../api/limits.ts";
import type { CronRun, ListCronRunsOptions } from "../../api/methods/cron-types.ts";
import { cronKey, cronNumber, cronPrefix } from "../store/keys.ts";
import {
  decodeJson,
  encodeJson,
  listAll,
  type Store,
  type StoreEntry,
  tryDecodeJson,
} from "../store/store.ts";
import type { JobDefinition } from "./cron-job.ts";

/** Excess runs are deleted in steps of at least this many. */
const PRUNED_AT_ONCE = 64;

const DEFAULT_LIMIT = 100;

/** A run without its output. All records are in memory; outputs are only in the store. */
export interface RunRecord extends Omit<CronRun, "outputTail" | "runId"> {
  /** Number of the run in its VM. */
  seq: number;
}

/** Returns whether a stored value has the members of a run that the server needs. */
function isRecord(value: unknown): value is RunRecord {
  const { seq, jobId, status, scheduledAt } = Object(value) as Partial<RunRecord>;
  return (
    typeof seq === "number" &&
    typeof jobId === "string" &&
    typeof status === "string" &&
    typeof scheduledAt === "number"
  );
}

/** Keeps the newest runs of a VM. */
export class RunHistory {
  readonly #store: Store;
  /** In the order of `seq`. */
  #records: RunRecord[] = [];
  #nextSeq = 1;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @param onDamaged receives the error of each run that cannot be read */
  async load(onDamaged: (error: unknown) => void): Promise<void> {
    this.#records = [];
    for await (const [key, value] of listAll(this.#store, cronPrefix("run"))) {
      const record = tryDecodeJson(value);
      if (isRecord(record)) this.#records.push(record);
      else {
        // A new run must not take its number.
        this.reserve(cronNumber("run", key));
        onDamaged(new Error(`The record of a cron run is damaged: ${key}`));
      }
    }
    this.reserve(this.#records.at(-1)?.seq ?? 0);
  }

  /** Takes a number for a new run. */
  take(): number {
    return this.#nextSeq++;
  }

  /** Marks a number as taken. */
  reserve(seq: number): void {
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1);
  }

  /** Runs that the last server left running when it died. */
  get unfinished(): RunRecord[] {
    return this.#records.filter(({ status }) => status === "running");
  }

  /** Adds a run, or replaces the run with its number. @returns entries to store */
  set(record: RunRecord, outputTail = ""): StoreEntry[] {
    const at = this.#records.findLastIndex(({ seq }) => seq <= record.seq);
    if (this.#records[at]?.seq === record.seq) this.#records[at] = record;
    else this.#records.splice(at + 1, 0, record);
    const entries: StoreEntry[] = [[cronKey("run", record.seq), encodeJson(record)]];
    if (outputTail !== "") entries.push([cronKey("output", record.seq), encodeJson(outputTail)]);
    return entries;
  }

  /** Drops runs that could not be stored. @returns keys to delete */
  drop(records: readonly RunRecord[]): string[] {
    if (records.length > 0) this.#records = this.#records.filter((record) => !records.includes(record));
    return records.map(({ seq }) => cronKey("run", seq));
  }

  /** Drops the oldest ended runs past the limit. @returns keys to delete */
  prune(): string[] {
    const excess = this.#records.length - MAX_CRON_RUNS;
    if (excess < PRUNED_AT_ONCE) return [];
    const dropped = new Set(this.#records.filter(({ status }) => status !== "running").slice(0, excess));
    this.#records = this.#records.filter((record) => !dropped.has(record));
    return [...dropped].flatMap(({ seq }) => [cronKey("run", seq), cronKey("output", seq)]);
  }

  async list(jobId: string | undefined, { limit = DEFAULT_LIMIT, before }: ListCronRunsOptions = {}) {
    const end = before === undefined ? Number.POSITIVE_INFINITY : seqOf(before);
    const found = this.#records
      .slice(-MAX_CRON_RUNS)
      .filter((record) => record.seq < end && (jobId === undefined || record.jobId === jobId))
      .slice(-limit)
      .reverse();
    const outputs = await this.#store.get(found.map(({ seq }) => cronKey("output", seq)));
    return found.map(({ seq, ...record }, index) => {
      const output = outputs[index];
      return { runId: runId(seq), ...record, outputTail: output ? (decodeJson(output) as string) : "" };
    });
  }
}

export function runId(seq: number): string {
  return `run-${seq}`;
}

function seqOf(id: string): number {
  const [, digits] = /^run-(\d{1,15})$/.exec(id) ?? [];
  if (digits === undefined) throw invalidArgument("before", "the id of a run", id);
  return Number(digits);
}

/** The event of a run, from its record. */
export function eventOf(
  { schedule }: JobDefinition,
  record: RunRecord,
  time: number,
  error = "The run failed",
): CronEvent {
  const { jobId, seq, durationMs, exitCode, reason = "", ticks = 1 } = record;
  const base = { id: jobId, jobId, schedule, runId: runId(seq), firedAt: record.scheduledAt, time };
  switch (record.status) {
    case "running":
      return { ...base, type: "cron:fire" };
    case "completed":
      return { ...base, type: "cron:complete", durationMs: durationMs ?? 0, exitCode: exitCode ?? 0 };
    case "skipped":
      return { ...base, type: "cron:skip", reason };
    case "missed":
      return { ...base, type: "cron:missed", ticks, reason };
    default:
      return {
        ...base,
        type: "cron:error",
        error,
        reason,
        ...(durationMs !== null && { durationMs }),
        ...(exitCode !== undefined && { exitCode }),
      };
  }
}
