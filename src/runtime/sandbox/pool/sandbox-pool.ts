import type { Capability } from "../../../api/errors.ts";
import { unlessAborted, within } from "../../../base/within.ts";
import type { VmLimits } from "../../options.ts";
import { runningBoots } from "../boot-queue.ts";
import type { EnforcedLimits, RuntimeDescription, Sandbox, SandboxFactory, Standby } from "../sandbox.ts";
import { isQuiet } from "./quiet.ts";

/**
 * Age at which a sandbox that waits is replaced, so that no VM begins with an old view of the host.
 * @unit ms
 */
const MAX_WAIT_MS = 600_000;

/** Pause between two looks at the host. Each claim is followed by a look, too. */
const LOOK_MS = 2_000;

/** Pause between two looks at a server that is busy while a sandbox is missing. It doubles up to MAX_PAUSE_MS. */
const MIN_PAUSE_MS = 10;
const MAX_PAUSE_MS = 200;

/**
 * Pause after a sandbox could not be booted ahead. It doubles with each failure, up to MAX_RETRY_MS.
 * @unit ms
 */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** Limits that a running sandbox has no use for. All others shape its boot. */
const UNUSED_LIMITS: readonly (keyof VmLimits)[] = ["captureBytes"];

/** Conditions of a server under which sandboxes are booted ahead. */
export interface PoolConditions {
  /** Number of VMs that the server may still boot. No more sandboxes wait. */
  places(): number;
  /** Receives the error of the first of several failures in a row. */
  onFailure(error: unknown): void;
}

/** Counts since the pool was made, and the sandboxes that wait now. */
export interface PoolTally {
  waiting: number;
  /** VMs that got a sandbox that waited, and VMs that had to boot. */
  hits: number;
  misses: number;
  /** Boots of sandboxes ahead. */
  booted: number;
  failed: number;
  /** Sandboxes that were given up, too old or dead before a VM took them. */
  dropped: number;
}

interface Waiting {
  sandbox: Sandbox;
  standby: Standby;
  since: number;
}

/**
 * Sandboxes that are booted ahead. They have nothing of any VM, and each of them gets one VM: one whose limits are those of
 * the pool. Any other VM boots a sandbox of its own. A pool boots nothing before `open`.
 */
export class SandboxPool implements SandboxFactory {
  readonly runtime: string;
  readonly capabilities: ReadonlySet<Capability>;
  readonly #factory: SandboxFactory;
  readonly #limits: VmLimits;
  readonly #size: number;
  /** Oldest first. */
  readonly #waiting: Waiting[] = [];
  readonly #endings = new Set<Promise<void>>();
  /** Settles with the boot that runs ahead. */
  #filling: Promise<void> | undefined;
  #isPromised = false;
  #failures = 0;
  #retryAt = 0;
  #keeping: { stop: AbortController; ended: Promise<void> } | undefined;
  #look = Promise.withResolvers<void>();
  readonly #counts = { hits: 0, misses: 0, booted: 0, failed: 0, dropped: 0 };

  /** @param size sandboxes that wait */
  constructor(factory: SandboxFactory, limits: VmLimits, size: number) {
    this.#factory = factory;
    this.runtime = factory.runtime;
    this.capabilities = factory.capabilities;
    this.#limits = limits;
    this.#size = size;
  }

  get tally(): PoolTally {
    return { waiting: this.#waiting.length, ...this.#counts };
  }

  describe(): Promise<RuntimeDescription> {
    return this.#factory.describe();
  }

  enforced(limits: VmLimits): Promise<EnforcedLimits> {
    return this.#factory.enforced(limits);
  }

  /** Boots sandboxes in the background, until `drain`. Does nothing if it is open. */
  open(conditions: PoolConditions): void {
    if (this.#keeping !== undefined || this.#size === 0) return;
    const stop = new AbortController();
    const ended = this.#keepFull(conditions, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) conditions.onFailure(error);
    });
    this.#keeping = { stop, ended };
  }

  /** Takes a sandbox that waits, or boots one. */
  async boot(signal: AbortSignal, limits: VmLimits = this.#limits): Promise<Sandbox> {
    signal.throwIfAborted();
    if (this.#keeping === undefined) return await this.#factory.boot(signal, limits);
    const found = this.#fits(limits) ? (this.#take() ?? (await this.#takeNext(signal))) : undefined;
    if (found === undefined) {
      this.#counts.misses += 1;
      return await this.#bootNow(signal, limits);
    }
    this.#counts.hits += 1;
    found.standby.end();
    return found.sandbox;
  }

  /** Ends the sandboxes that wait, and boots no more ahead. */
  async drain(): Promise<void> {
    const keeping = this.#keeping;
    this.#keeping = undefined;
    keeping?.stop.abort();
    this.#dropAll();
    await keeping?.ended;
    await Promise.all(this.#endings);
  }

  async close(): Promise<void> {
    await this.drain();
    await this.#factory.close?.();
  }

  #fits(limits: VmLimits): boolean {
    const names = Object.keys({ ...limits, ...this.#limits }) as (keyof VmLimits)[];
    return names.every((name) => UNUSED_LIMITS.includes(name) || limits[name] === this.#limits[name]);
  }

  #take(): Waiting | undefined {
    for (;;) {
      const oldest = this.#waiting.shift();
      if (oldest === undefined) return undefined;
      this.#look.resolve();
      if (oldest.standby.isAlive()) {
        this.#failures = 0;
        return oldest;
      }
      this.#end(oldest.sandbox);
    }
  }

  /** Takes the sandbox that boots now, unless another VM waits for it. @throws the signal's reason */
  async #takeNext(signal: AbortSignal): Promise<Waiting | undefined> {
    if (this.#filling === undefined || this.#isPromised) return undefined;
    this.#isPromised = true;
    try {
      await unlessAborted(this.#filling, signal);
      return this.#take();
    } finally {
      this.#isPromised = false;
    }
  }

  /** Boots a sandbox for a VM. Sandboxes that wait must not take the last of what the host has. */
  async #bootNow(signal: AbortSignal, limits: VmLimits): Promise<Sandbox> {
    try {
      return await this.#factory.boot(signal, limits);
    } catch (error) {
      if (signal.aborted || this.#waiting.length === 0) throw error;
      this.#dropAll();
      await Promise.all(this.#endings);
      return await this.#factory.boot(signal, limits);
    }
  }

  async #keepFull({ places, onFailure }: PoolConditions, signal: AbortSignal): Promise<void> {
    for (let pause = MIN_PAUSE_MS; !signal.aborted; ) {
      const wanted = this.#factory.isShort?.() === true ? 0 : Math.min(this.#size, places());
      this.#trim(wanted);
      const lacks = this.#waiting.length < wanted && performance.now() >= this.#retryAt;
      if (lacks && (await isQuiet(signal)) && runningBoots() === 0) {
        pause = MIN_PAUSE_MS;
        await this.#fill(signal, onFailure);
        continue;
      }
      pause = lacks ? Math.min(pause * 2, MAX_PAUSE_MS) : MIN_PAUSE_MS;
      this.#look = Promise.withResolvers();
      await unlessAborted(within(this.#look.promise, lacks ? pause : LOOK_MS), signal);
    }
  }

  /** Boots a sandbox that waits. */
  async #fill(signal: AbortSignal, onFailure: PoolConditions["onFailure"]): Promise<void> {
    const booting = this.#bootAhead(signal);
    this.#filling = booting.then(
      () => undefined,
      () => undefined,
    );
    try {
      const waiting = await booting;
      this.#counts.booted += 1;
      this.#waiting.push(waiting);
      void waiting.sandbox.crashed.then((error) => {
        if (this.#forget(waiting)) this.#failed(error, onFailure);
      });
    } catch (error) {
      signal.throwIfAborted();
      this.#counts.failed += 1;
      this.#failed(error, onFailure);
    } finally {
      this.#filling = undefined;
    }
  }

  #failed(error: unknown, onFailure: PoolConditions["onFailure"]): void {
    if (this.#failures === 0) onFailure(error);
    this.#retryAt = performance.now() + Math.min(RETRY_MS * 2 ** this.#failures, MAX_RETRY_MS);
    this.#failures += 1;
  }

  async #bootAhead(signal: AbortSignal): Promise<Waiting> {
    const sandbox = await this.#factory.boot(signal, this.#limits);
    try {
      const standby = (await sandbox.standby?.()) ?? { isAlive: () => true, end: () => undefined };
      signal.throwIfAborted();
      return { sandbox, standby, since: performance.now() };
    } catch (error) {
      await sandbox.dispose();
      throw error;
    }
  }

  /** Gives up sandboxes that are too old or too many. */
  #trim(wanted: number): void {
    const now = performance.now();
    for (const waiting of [...this.#waiting]) {
      const age = now - waiting.since;
      if (age > MAX_WAIT_MS || this.#waiting.length > wanted) this.#forget(waiting);
      // Its boot was a success.
      else if (age > LOOK_MS) this.#failures = 0;
    }
  }

  #dropAll(): void {
    for (const waiting of [...this.#waiting]) this.#forget(waiting);
  }

  /** Ends a sandbox that waits. @returns `false` if a VM has taken it, or it has been given up */
  #forget(waiting: Waiting): boolean {
    const index = this.#waiting.indexOf(waiting);
    if (index === -1) return false;
    this.#waiting.splice(index, 1);
    this.#look.resolve();
    this.#end(waiting.sandbox);
    return true;
  }

  #end(sandbox: Sandbox): void {
    this.#counts.dropped += 1;
    const ending: Promise<void> = sandbox
      .dispose()
      .catch(() => undefined)
      .finally(() => this.#endings.delete(ending));
    this.#endings.add(ending);
  }
}
