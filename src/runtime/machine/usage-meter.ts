import { z } from "zod";
import type { VmUsage } from "../../api/methods/machine.ts";
import { loadOnce } from "../../base/load-once.ts";
import { Mutex } from "../../base/mutex.ts";
import { SIZE_KEY, USAGE_KEY } from "../store/keys.ts";
import {
  type ChangeOptions,
  encodeJson,
  type Store,
  type StoreEntry,
  tryDecodeJson,
} from "../store/store.ts";

/**
 * Time between two measurements of an awake VM. A server that is killed loses this much.
 * @unit ms
 */
const SAMPLE_MS = 60_000;

const HOUR_MS = 3_600_000;

/**
 * Hours that are kept.
 * @unit hours
 * @past The oldest hour is forgotten. Totals keep it.
 */
const MAX_USAGE_HOURS = 168;

const amount = z.number().nonnegative();
const sums = { awakeMs: amount, cpuMs: amount, bytesOut: amount, bytesIn: amount };
const usageSchema = z.object({
  ...sums,
  hours: z.array(z.object({ at: amount, ...sums, diskBytes: amount.nullable() })),
});

/** Values of counters that grow during one boot. */
export interface Meters {
  cpuMs: number | null;
  /** Bytes of the VM's files now. */
  diskBytes: number | null;
  bytesOut: number;
  bytesIn: number;
}

/** Adds up the resources that a VM uses over its boots. */
export class UsageMeter {
  readonly #store: Store;
  readonly #read: () => Promise<Meters | undefined>;
  readonly #onFailure: (error: unknown) => void;
  readonly #samples = new Mutex();
  readonly #load = loadOnce(() => this.#loadUsage());
  #timer: NodeJS.Timeout | undefined;
  /** The last reading of this boot. */
  #last: { meters: Meters; at: number } | undefined;

  /** @param read reads the counters; `undefined` while the VM is down */
  constructor(store: Store, read: () => Promise<Meters | undefined>, onFailure: (error: unknown) => void) {
    this.#store = store;
    this.#read = read;
    this.#onFailure = onFailure;
  }

  up(): void {
    this.#last = { meters: { cpuMs: 0, diskBytes: null, bytesOut: 0, bytesIn: 0 }, at: Date.now() };
    this.#timer = setInterval(() => void this.sample().catch(this.#onFailure), SAMPLE_MS).unref();
  }

  down(): void {
    this.#last = undefined;
    clearInterval(this.#timer);
  }

  async usage(): Promise<VmUsage> {
    await this.sample();
    return structuredClone(await this.#load());
  }

  /** Bytes outside since the VM's creation, up to the last reading. */
  async bytesOutside(): Promise<number> {
    const { bytesOut, bytesIn } = await this.#load();
    return bytesOut + bytesIn;
  }

  /** Adds what the VM has used since the last reading. Durable when it resolves, if the options do not say otherwise. */
  sample(options?: ChangeOptions): Promise<void> {
    return this.#samples.run(async () => {
      const usage = await this.#load();
      const last = this.#last;
      const meters = last && (await this.#read());
      if (last === undefined || meters === undefined || this.#last !== last) return;
      const at = Date.now();
      this.#last = { meters, at };
      const used = {
        awakeMs: Math.max(0, at - last.at),
        cpuMs: Math.max(0, (meters.cpuMs ?? 0) - (last.meters.cpuMs ?? 0)),
        bytesOut: Math.max(0, meters.bytesOut - last.meters.bytesOut),
        bytesIn: Math.max(0, meters.bytesIn - last.meters.bytesIn),
      };
      const hour = hourOf(usage, at);
      hour.diskBytes = meters.diskBytes;
      for (const name of Object.keys(used) as (keyof typeof used)[]) {
        usage[name] += used[name];
        hour[name] += used[name];
      }
      const size: StoreEntry[] = meters.diskBytes === null ? [] : [[SIZE_KEY, encodeJson(meters.diskBytes)]];
      await this.#store.put([[USAGE_KEY, encodeJson(usage)], ...size], options);
    });
  }

  async #loadUsage(): Promise<VmUsage> {
    const [bytes] = await this.#store.get([USAGE_KEY]);
    const parsed = usageSchema.safeParse(bytes && tryDecodeJson(bytes));
    return parsed.success ? parsed.data : { awakeMs: 0, cpuMs: 0, bytesOut: 0, bytesIn: 0, hours: [] };
  }
}

/** The entry of an hour, which is made if the VM has not been awake in it. */
function hourOf(usage: VmUsage, at: number): VmUsage["hours"][number] {
  const start = Math.floor(at / HOUR_MS) * HOUR_MS;
  let hour = usage.hours.find((each) => each.at === start);
  if (hour === undefined) {
    hour = { at: start, awakeMs: 0, cpuMs: 0, bytesOut: 0, bytesIn: 0, diskBytes: null };
    usage.hours.push(hour);
    usage.hours.splice(0, usage.hours.length - MAX_USAGE_HOURS);
  }
  return hour;
}
