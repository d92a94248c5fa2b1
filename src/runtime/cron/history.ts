import { invalidArgument } from "../../api/errors.ts";
import { MAX_CRON_RUNS } from "../../api/limits.ts";
import type { CronRun, ListCronRunsOptions } from "../../api/types.ts";
import { decodeJson, encodeJson, listAll, type Store, type StoreEntry } from "../store.ts";
import { padded } from "./job.ts";

const RUNS = "cron/run/";
const OUTPUTS = "cron/output/";

/** Runs past the kept ones that go in one step. */
const PRUNED_AT_ONCE = 64;

const DEFAULT_LIMIT = 100;

/** A run without its output, which is stored apart: all of them are in memory, no output is. */
export interface RunRecord extends Omit<CronRun, "outputTail" | "runId"> {
  /** Counts the runs of a VM. */
  seq: number;
}

/** The newest runs of a VM. */
export class History {
  readonly #store: Store;
  /** In the order of their numbers. */
  #records: RunRecord[] = [];
  #nextSeq = 1;

  constructor(store: Store) {
    this.#store = store;
  }

  async load(): Promise<void> {
    this.#records = [];
    for await (const [, value] of listAll(this.#store, RUNS))
      this.#records.push(decodeJson(value) as RunRecord);
    this.reserve(this.#records.at(-1)?.seq ?? 0);
  }

  /** A number for a run that will be added. */
  take(): number {
    return this.#nextSeq++;
  }

  /** A number that is taken already. */
  reserve(seq: number): void {
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1);
  }

  /** Runs that were under way when the process that ran them died. */
  get unfinished(): RunRecord[] {
    return this.#records.filter(({ status }) => status === "running");
  }

  /** Adds a run, or changes the one of the same number. @returns what is to be stored */
  set(record: RunRecord, outputTail = ""): StoreEntry[] {
    const at = this.#records.findLastIndex(({ seq }) => seq <= record.seq);
    if (this.#records[at]?.seq === record.seq) this.#records[at] = record;
    else this.#records.splice(at + 1, 0, record);
    const entries: StoreEntry[] = [[`${RUNS}${padded(record.seq)}`, encodeJson(record)]];
    if (outputTail !== "") entries.push([`${OUTPUTS}${padded(record.seq)}`, encodeJson(outputTail)]);
    return entries;
  }

  /** Drops the oldest runs that have ended. @returns the keys to be deleted */
  prune(): string[] {
    const excess = this.#records.length - MAX_CRON_RUNS;
    if (excess < PRUNED_AT_ONCE) return [];
    const dropped = new Set(this.#records.filter(({ status }) => status !== "running").slice(0, excess));
    this.#records = this.#records.filter((record) => !dropped.has(record));
    return [...dropped].flatMap(({ seq }) => [`${RUNS}${padded(seq)}`, `${OUTPUTS}${padded(seq)}`]);
  }

  async list(
    jobId: string | undefined,
    { limit = DEFAULT_LIMIT, before }: ListCronRunsOptions = {},
  ): Promise<CronRun[]> {
    const end = before === undefined ? Number.POSITIVE_INFINITY : seqOf(before);
    const found = this.#records
      .slice(-MAX_CRON_RUNS)
      .filter((record) => record.seq < end && (jobId === undefined || record.jobId === jobId))
      .slice(-limit)
      .reverse();
    const outputs = await this.#store.get(found.map(({ seq }) => `${OUTPUTS}${padded(seq)}`));
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
