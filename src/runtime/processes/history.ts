import { z } from "zod";
import type { SpawnedProcessInfo } from "../../api/types.ts";
import { MAX_STORE_VALUE_BYTES, type Store } from "../store.ts";

const KEY = "processes/table";

/** A change of the table is stored this much later, in milliseconds, with those that follow it. */
const SAVE_DELAY_MS = 100;

/** What is kept of a command line. */
const MAX_KEPT_ARGS = 32;
const MAX_KEPT_ARG_LENGTH = 256;

const KILLED = 137;

const tableSchema = z.array(
  z.object({
    pid: z.int(),
    command: z.string(),
    args: z.array(z.string()),
    running: z.boolean(),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    reason: z.enum(["exit", "signal", "timeout", "killed", "oom", "outputLimit", "vm_stopped"]).nullable(),
    startedAt: z.number(),
    exitedAt: z.number().nullable(),
  }),
);

/** The process table of a VM, kept beyond its processes: after a wake it tells how they ended. */
export class ProcessHistory {
  readonly #store: Store;
  readonly #onFailure: (error: unknown) => void;
  #loading: Promise<SpawnedProcessInfo[]> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #table: (() => SpawnedProcessInfo[]) | undefined;

  constructor(store: Store, onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
  }

  /** Processes of before the VM's last boot; none of them runs. */
  load(): Promise<SpawnedProcessInfo[]> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#onFailure(error);
      return [];
    });
    return this.#loading;
  }

  /** Stores the table soon. */
  changed(table: () => SpawnedProcessInfo[]): void {
    this.#table = table;
    this.#timer ??= setTimeout(() => void this.flush(), SAVE_DELAY_MS).unref();
  }

  /** Stores what has changed now. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const table = this.#table;
    this.#table = undefined;
    if (table !== undefined) {
      const value = encode(table());
      this.#saving = this.#saving.then(() => this.#store.put([[KEY, value]])).catch(this.#onFailure);
    }
    await this.#saving;
  }

  /** Gives up what is not stored yet. */
  close(): void {
    clearTimeout(this.#timer);
    this.#table = undefined;
  }

  async #read(): Promise<SpawnedProcessInfo[]> {
    const [value] = await this.#store.get([KEY]);
    if (value === undefined) return [];
    const table = tableSchema.safeParse(JSON.parse(Buffer.from(value).toString("utf8")));
    return table.success ? table.data.map(ended) : [];
  }
}

/** What ran when the VM stopped has ended with it. */
function ended(info: SpawnedProcessInfo): SpawnedProcessInfo {
  if (!info.running) return info;
  return { ...info, running: false, exitCode: KILLED, signal: "SIGKILL", reason: "vm_stopped" };
}

/** The newest processes that fit into one value. */
function encode(table: readonly SpawnedProcessInfo[]): Uint8Array {
  const kept: string[] = [];
  let bytes = 2;
  for (const info of table.toReversed()) {
    const args = info.args.slice(0, MAX_KEPT_ARGS).map((arg) => arg.slice(0, MAX_KEPT_ARG_LENGTH));
    const row = JSON.stringify({ ...info, command: info.command.slice(0, MAX_KEPT_ARG_LENGTH), args });
    bytes += Buffer.byteLength(row) + 1;
    if (bytes > MAX_STORE_VALUE_BYTES) break;
    kept.push(row);
  }
  return Buffer.from(`[${kept.reverse().join()}]`);
}
