import { z } from "zod";
import type { VmUsage } from "../../api/methods/machine.ts";
import { loadOnce } from "../../base/load-once.ts";
import { SIZE_KEY, USAGE_KEY } from "../store/keys.ts";
import {
  type ChangeOptions,
  encodeJson,
  type Store,
  type StoreEntry,
  tryDecodeJson,
} from "../store/store.ts";

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

type Sums = Pick<VmUsage, keyof typeof sums>;

/** The stored sums of the resources that a VM has used since its creation. */
export class UsageRecord {
  readonly #store: Store;
  /** The sums so far. Nobody else changes them. */
  readonly usage: () => Promise<VmUsage>;

  constructor(store: Store) {
    this.#store = store;
    this.usage = loadOnce(() => this.#load());
  }

  /** Bytes that the VM has sent and received outside, up to the last measurement. */
  async bytesOutside(): Promise<number> {
    const { bytesOut, bytesIn } = await this.usage();
    return bytesOut + bytesIn;
  }

  /** Adds resources. Durable when it resolves, if the options do not say otherwise. */
  async add(
    used: Sums,
    { at, diskBytes }: { at: number; diskBytes: number | null },
    options?: ChangeOptions,
  ): Promise<void> {
    const usage = await this.usage();
    const hour = hourOf(usage, at);
    hour.diskBytes = diskBytes;
    for (const name of Object.keys(used) as (keyof Sums)[]) {
      usage[name] += used[name];
      hour[name] += used[name];
    }
    const size: StoreEntry[] = diskBytes === null ? [] : [[SIZE_KEY, encodeJson(diskBytes)]];
    await this.#store.put([[USAGE_KEY, encodeJson(usage)], ...size], options);
  }

  async #load(): Promise<VmUsage> {
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
