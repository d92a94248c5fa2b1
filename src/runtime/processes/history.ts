import { z } from "zod";
import type { ProcessOutput, SpawnedProcessInfo } from "../../api/methods/process-types.ts";
import type { ProcessEnd } from "../../api/methods/transport.ts";
import { GroupWriter } from "../../base/group-writer.ts";
import { loadOnce } from "../../base/load-once.ts";
import type { ExitStatus } from "../sandbox/processes.ts";
import { PROCESS_TABLE_KEY } from "../store/keys.ts";
import { decodeJson, MAX_STORE_VALUE_BYTES, type Store } from "../store/store.ts";

/** Delay before a change of the table is stored, in milliseconds. Changes within it are stored together. */
const SAVE_DELAY_MS = 100;

/** Arguments of a command line that are kept, and characters of each. */
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
    oomKills: z.int().default(0),
    waitingForInput: z.literal(false).default(false),
  }),
);

/** A process from before the VM's last boot. Only its record is left, so input and signals have no effect. */
export class PastProcess {
  readonly info: SpawnedProcessInfo;
  readonly pendingStdin = 0;
  readonly writeStdin = () => undefined;
  readonly closeStdin = () => undefined;
  readonly signal = async () => undefined;

  constructor(info: SpawnedProcessInfo) {
    this.info = info;
  }

  get pid(): number {
    return this.info.pid;
  }

  get exited(): Promise<ExitStatus> {
    const { exitCode, signal } = this.info;
    return Promise.resolve({ exitCode: exitCode ?? 0, signal: signal as NodeJS.Signals | null });
  }

  get end(): ProcessEnd {
    const { exitCode, signal, reason, startedAt, exitedAt, oomKills } = this.info;
    return {
      exitCode: exitCode ?? 0,
      signal,
      reason: reason ?? "exit",
      timedOut: reason === "timeout",
      durationMs: (exitedAt ?? startedAt) - startedAt,
      cpuMs: 0,
      maxRssBytes: 0,
      oomKills,
    };
  }

  output(): ProcessOutput {
    return { chunks: [], truncated: true, running: false, exitCode: this.info.exitCode };
  }
}

/** Stores the process table of a VM, so that it is still known after a boot how earlier processes ended. */
export class ProcessHistory {
  readonly #store: Store;
  readonly #onFailure: (error: unknown) => void;
  readonly #writer: GroupWriter<Uint8Array>;
  /** Loads the processes from before the VM's last boot, by pid. Never rejects. */
  readonly load: () => Promise<ReadonlyMap<number, PastProcess>>;
  #timer: NodeJS.Timeout | undefined;
  #table: (() => SpawnedProcessInfo[]) | undefined;

  constructor(store: Store, onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#onFailure = onFailure;
    this.#writer = new GroupWriter({
      // Only the newest table counts.
      write: (tables) => store.put(tables.slice(-1).map((table) => [PROCESS_TABLE_KEY, table])),
    });
    this.load = loadOnce(() =>
      this.#read().catch((error: unknown) => {
        onFailure(error);
        return new Map();
      }),
    );
  }

  /** Stores the table soon. */
  changed(table: () => SpawnedProcessInfo[]): void {
    this.#table = table;
    this.#timer ??= setTimeout(() => void this.flush(), SAVE_DELAY_MS).unref();
  }

  /** Stores a change now instead of later. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const table = this.#table;
    this.#table = undefined;
    if (table !== undefined) this.#writer.add(encode(table())).catch(this.#onFailure);
    await this.#writer.idle();
  }

  /** Drops changes that are not stored yet. */
  close(): void {
    clearTimeout(this.#timer);
    this.#table = undefined;
  }

  async #read(): Promise<Map<number, PastProcess>> {
    const [value] = await this.#store.get([PROCESS_TABLE_KEY]);
    if (value === undefined) return new Map();
    const table = tableSchema.safeParse(decodeJson(value));
    const infos = table.success ? table.data.map(ended) : [];
    return new Map(infos.map((info) => [info.pid, new PastProcess(info)]));
  }
}

/** A process that ran when the VM stopped was killed with it. */
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
