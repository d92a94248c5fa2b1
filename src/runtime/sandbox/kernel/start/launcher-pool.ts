import { vmStopped } from "../../../../api/errors.ts";
import type { Entry } from "./command.ts";
import { Launcher } from "./launcher.ts";
import { Semaphore } from "./semaphore.ts";

/** Launchers that wait for the next commands while a VM is in use. */
const READY_LAUNCHERS = 2;

/** A VM that runs nothing for this long gives its waiting launchers back. */
const IDLE_MS = 30_000;

/** Launchers that enter a VM at the same time; more only make each other slower. */
const MAX_STARTING = 8;

/**
 * Keeps launchers ready. The first command of a VM enters by itself; from then on the next ones find a shell that has
 * entered already, which saves two thirds of the time from call to output.
 */
export class LauncherPool {
  readonly #entry: Entry;
  readonly #ready: Launcher[] = [];
  readonly #entering = new Semaphore(MAX_STARTING);
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(entry: Entry) {
    this.#entry = entry;
  }

  async take(): Promise<Launcher> {
    this.#touch();
    let launcher = this.#ready.shift();
    // A process of the VM may have killed it while it waited.
    while (launcher !== undefined && !launcher.isAlive) {
      launcher.abandon();
      launcher = this.#ready.shift();
    }
    launcher ??= await this.#start();
    if (this.#closed) {
      launcher.abandon();
      throw vmStopped();
    }
    setImmediate(() => this.#refill());
    return launcher;
  }

  /** Ends the launchers that wait, and waits for those on their way. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    this.#drop();
    await this.#entering.idle();
    this.#drop();
  }

  async #start(): Promise<Launcher> {
    await this.#entering.acquire();
    try {
      if (this.#closed) throw vmStopped();
      return await Launcher.start(this.#entry);
    } finally {
      this.#entering.release();
    }
  }

  #refill(): void {
    if (this.#closed || this.#entering.busy > 0 || this.#ready.length >= READY_LAUNCHERS) return;
    this.#start().then(
      (launcher) => {
        if (this.#closed) launcher.abandon();
        else this.#ready.push(launcher);
        this.#refill();
      },
      // The next command starts its own and reports what is wrong.
      () => undefined,
    );
  }

  #touch(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#drop(), IDLE_MS).unref();
  }

  #drop(): void {
    for (const launcher of this.#ready.splice(0)) launcher.abandon();
  }
}
