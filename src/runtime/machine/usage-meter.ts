import type { VmUsage } from "../../api/methods/machine.ts";
import { Mutex } from "../../base/mutex.ts";
import type { ChangeOptions } from "../store/store.ts";
import type { UsageRecord } from "./usage-record.ts";

/**
 * Time between two measurements of an awake VM. A server that is killed loses this much.
 * @unit ms
 */
const SAMPLE_MS = 60_000;

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
  readonly #record: UsageRecord;
  readonly #read: () => Promise<Meters | undefined>;
  readonly #onFailure: (error: unknown) => void;
  readonly #samples = new Mutex();
  #timer: NodeJS.Timeout | undefined;
  /** The last reading of this boot. */
  #last: { meters: Meters; at: number } | undefined;

  /** @param read reads the counters; `undefined` while the VM is down */
  constructor(
    record: UsageRecord,
    read: () => Promise<Meters | undefined>,
    onFailure: (error: unknown) => void,
  ) {
    this.#record = record;
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
    return structuredClone(await this.#record.usage());
  }

  /** Adds what the VM has used since the last reading. Durable when it resolves, if the options do not say otherwise. */
  sample(options?: ChangeOptions): Promise<void> {
    return this.#samples.run(async () => {
      // A record that cannot be read must not cost a reading.
      await this.#record.usage();
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
      await this.#record.add(used, { at, diskBytes: meters.diskBytes }, options);
    });
  }
}
