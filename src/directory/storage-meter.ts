import type { ActorFiles } from "../rivet/actor-files.ts";
import type { VolumeFiles } from "./volume-files.ts";

/**
 * Time between two measurements of the storage of all VMs.
 * @unit ms
 */
const MEASURE_MS = 10_000;

/** Measures the storage of all VMs and volumes of a data folder. */
export class StorageMeter {
  readonly #files: ActorFiles;
  readonly #volumes: VolumeFiles;
  readonly #onFailure: (error: unknown) => void;
  #bytes = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(files: ActorFiles, volumes: VolumeFiles, onFailure: (error: unknown) => void) {
    this.#files = files;
    this.#volumes = volumes;
    this.#onFailure = onFailure;
  }

  /** Bytes when they were last measured. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Measures again if the last measurement is older than ten seconds. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#measuredAt > MEASURE_MS) await this.#measure();
  }

  /** Measures now and every ten seconds, until `close`. */
  keepMeasuring(): void {
    void this.#measure().then(() => {
      if (this.#isClosed) return;
      this.#timer = setTimeout(() => this.keepMeasuring(), MEASURE_MS).unref();
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#isClosed = true;
  }

  async #measure(): Promise<void> {
    this.#measuredAt = performance.now();
    try {
      let bytes = 0;
      for (const actorId of this.#files.ids()) bytes += await this.#files.storedBytes(actorId);
      this.#bytes = bytes + (await this.#volumes.bytes());
    } catch (error) {
      this.#onFailure(error);
    }
  }
}
