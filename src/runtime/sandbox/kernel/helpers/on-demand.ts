import { vmStopped } from "../../../../api/errors.ts";
import { HelperLost } from "./helper-process.ts";

/**
 * Time without use after which the spawner or the connector of a VM ends.
 * @unit ms
 * @past The next command or connection takes some milliseconds more.
 */
const IDLE_MS = 30_000;

/** A helper that can be replaced. */
export interface Replaceable {
  readonly isUsable: boolean;
  /** Requests and commands that it still has to report on. */
  readonly busy: number;
  close(): Promise<void>;
}

/** Starts a helper at its first use, replaces a dead helper at the next use, and closes an idle helper. */
export class OnDemand<Helper extends Replaceable> {
  readonly #start: () => Promise<Helper> | Helper;
  readonly #maxTries: number;
  #current: Promise<Helper> | undefined;
  #usable: Helper | undefined;
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param maxTries limit of tries for one piece of work, because helpers may die or not start
   * @param first a helper that starts already
   */
  constructor(start: () => Promise<Helper> | Helper, maxTries: number, first?: Promise<Helper>) {
    this.#start = start;
    this.#maxTries = maxTries;
    if (first === undefined) return;
    this.#await(first);
    this.rest();
  }

  /** The helper that runs. */
  get running(): Helper | undefined {
    return this.#usable?.isUsable === true ? this.#usable : undefined;
  }

  /**
   * Does some work with a helper.
   *
   * @throws AgentVmError `vm_stopped` after `close`
   * @throws HelperLost if the helper of the last try died or did not start
   */
  async use<Result>(work: (helper: Helper) => Promise<Result>): Promise<Result> {
    for (let tries = 1; ; tries++) {
      if (this.#closed) throw vmStopped();
      clearTimeout(this.#idle);
      try {
        return await work(this.running ?? (await this.#started()));
      } catch (error) {
        if (this.#closed) throw vmStopped();
        if (!(error instanceof HelperLost) || tries === this.#maxTries) throw error;
      } finally {
        this.rest();
      }
    }
  }

  /** Starts the helper before its first use. It stays until it has been used, or until `rest`. */
  async warm(): Promise<void> {
    if (this.#closed) throw vmStopped();
    clearTimeout(this.#idle);
    if (this.running === undefined) await this.#started();
  }

  /** Looks at it again when it has been idle for a while. To be called whenever it may have become idle. */
  rest(): void {
    clearTimeout(this.#idle);
    if (this.#closed) return;
    this.#idle = setTimeout(() => {
      const helper = this.running;
      if (helper?.busy === 0) void helper.close();
    }, IDLE_MS).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    const helper = await this.#current?.catch(() => undefined);
    await helper?.close();
  }

  #started(): Promise<Helper> {
    if (this.#current === undefined || this.#usable !== undefined) {
      this.#usable = undefined;
      // `start` may throw at once. Then no later call may get the dead helper.
      return this.#await((async () => await this.#start())());
    }
    return this.#current;
  }

  #await(starting: Promise<Helper>): Promise<Helper> {
    this.#current = starting;
    starting.then(
      (helper) => {
        this.#usable = helper;
      },
      () => {
        if (this.#current === starting) this.#current = undefined;
      },
    );
    return starting;
  }
}
