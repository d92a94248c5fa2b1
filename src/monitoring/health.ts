import { tryWrite } from "../base/try-write.ts";
import { within } from "../base/within.ts";

/**
 * Time for which the outcome of a trial boot counts. Each boot of a VM counts as a trial.
 * @unit ms
 */
const BOOT_FRESH_MS = 60_000;

/**
 * Time for which the outcome of a trial write, and of a trial that failed, counts.
 * @unit ms
 */
const FRESH_MS = 5_000;

/**
 * Time for which the outcome of a look at the engine counts.
 * @unit ms
 */
const ENGINE_FRESH_MS = 1_000;

/**
 * Time for a trial.
 * @unit ms
 * @past The server is not ready.
 */
const TRIAL_TIMEOUT_MS = 10_000;

type CheckName = "storage" | "vms" | "engine";

/** Answer of `/health/ready`. It has no reasons, because anybody may ask; the log has them. */
export interface Readiness {
  status: "ready" | "not ready";
  storage: "ok" | "failed";
  vms: "ok" | "failed";
  /** Whether the server is in contact with its Rivet Engine; absent without one. */
  engine?: "ok" | "failed";
  draining: boolean;
}

export interface HealthOptions {
  /** The data folder; `undefined` before it is open. */
  folder(): string | undefined;
  /** Boots and ends a VM of each actor. @returns `false` if the server had no room for it */
  tryBoot(signal: AbortSignal): Promise<boolean>;
  /** Rejects if the server is not in contact with its Rivet Engine. @default there is none */
  tryEngine?: (() => Promise<void>) | undefined;
  isDraining(): boolean;
  /** A check has another outcome than before. @param error `undefined`: it passes now */
  onChange(check: CheckName, error: unknown): void;
}

/** Finds out whether the server can do its work. Questions at once, or one soon after another, share one trial. */
export class Health {
  readonly #options: HealthOptions;
  readonly #storage: Trial;
  readonly #vms: Trial;
  readonly #engine: Trial | undefined;

  constructor(options: HealthOptions) {
    this.#options = options;
    const changed = (name: CheckName) => (error: unknown) => options.onChange(name, error);
    const write = async () => {
      const folder = options.folder();
      if (folder === undefined) throw new Error("The data folder is not open");
      await tryWrite(folder);
      return true;
    };
    this.#storage = new Trial(write, FRESH_MS, changed("storage"));
    const boot = () => options.tryBoot(AbortSignal.timeout(TRIAL_TIMEOUT_MS));
    this.#vms = new Trial(boot, BOOT_FRESH_MS, changed("vms"));
    const { tryEngine } = options;
    const ask = async () => {
      await tryEngine?.();
      return true;
    };
    this.#engine = tryEngine && new Trial(ask, ENGINE_FRESH_MS, changed("engine"));
  }

  /** A VM has booted. */
  booted(): void {
    this.#vms.passed();
  }

  async ready(): Promise<Readiness> {
    const draining = this.#options.isDraining();
    // A server that shuts down boots nothing.
    const vms = draining || this.#vms.isFresh ? this.#vms.isOk : this.#vms.run();
    const [storage, boots, engine] = await Promise.all([this.#storage.run(), vms, this.#engine?.run()]);
    return {
      status: storage && boots && engine !== false && !draining ? "ready" : "not ready",
      storage: storage ? "ok" : "failed",
      vms: boots ? "ok" : "failed",
      ...(engine !== undefined && { engine: engine ? "ok" : "failed" }),
      draining,
    };
  }
}

/** A check whose outcome counts for a while. */
class Trial {
  readonly #try: () => Promise<boolean>;
  readonly #freshMs: number;
  readonly #onChange: (error: unknown) => void;
  #running: Promise<boolean> | undefined;
  #until = 0;
  isOk = true;

  /** @param trial rejects if the check fails; `false`: nothing was found out, and the earlier outcome counts on */
  constructor(trial: () => Promise<boolean>, freshMs: number, onChange: (error: unknown) => void) {
    this.#try = trial;
    this.#freshMs = freshMs;
    this.#onChange = onChange;
  }

  get isFresh(): boolean {
    return performance.now() < this.#until;
  }

  passed(): void {
    this.#settle(undefined);
  }

  /** Returns whether the check passes. Never rejects. */
  async run(): Promise<boolean> {
    if (this.isFresh) return this.isOk;
    // A trial that hangs goes on; nobody starts another beside it.
    this.#running ??= this.#attempt().finally(() => {
      this.#running = undefined;
    });
    const outcome = await within(this.#running, TRIAL_TIMEOUT_MS);
    if (outcome === undefined) this.#settle(new Error("The trial does not end"));
    return this.isOk;
  }

  async #attempt(): Promise<boolean> {
    try {
      if (await this.#try()) this.#settle(undefined);
    } catch (error) {
      this.#settle(error);
    }
    return this.isOk;
  }

  #settle(error: unknown): void {
    const wasOk = this.isOk;
    this.isOk = error === undefined;
    this.#until = performance.now() + (this.isOk ? this.#freshMs : Math.min(this.#freshMs, FRESH_MS));
    if (wasOk !== this.isOk) this.#onChange(error);
  }
}
