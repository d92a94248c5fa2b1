import type { VmEventName, VmEvents } from "../../api/events.ts";
import type { VmPort } from "../../api/types.ts";

/** The kernel tells nobody of a port that opens: the tables are read, soon after something started, then ever less. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2_000;

export interface PortWatchParts {
  /** `undefined` while no VM runs. */
  listening(): Promise<VmPort[]> | undefined;
  /** Whether anything runs inside that was started there, also a daemon of a command that has ended. */
  isBusy(): Promise<boolean> | undefined;
  emit<Name extends VmEventName>(name: Name, payload: VmEvents[Name]): void;
}

/** Tells of ports that open and close. Looks only while something runs inside. */
export class PortWatch {
  readonly #parts: PortWatchParts;
  #open = new Map<string, VmPort>();
  #running = 0;
  #timer: NodeJS.Timeout | undefined;
  #delay = FIRST_DELAY_MS;
  #isLooking = false;
  #isStopped = false;

  constructor(parts: PortWatchParts) {
    this.#parts = parts;
  }

  /** Something was started that may open a port. */
  during(work: Promise<unknown>): void {
    this.#running += 1;
    const done = () => {
      this.#running -= 1;
      this.#soon();
    };
    work.then(done, done);
    this.#soon();
  }

  /** What somebody has just seen. */
  saw(ports: readonly VmPort[]): void {
    if (this.#isStopped) return;
    const before = this.#open;
    this.#open = new Map(ports.map((port) => [`${port.address} ${port.port}`, port]));
    for (const [key, port] of this.#open) if (!before.has(key)) this.#parts.emit("portOpened", port);
    for (const [key, { port, address }] of before) {
      if (!this.#open.has(key)) this.#parts.emit("portClosed", { port, address });
    }
    // Somebody else has looked: a port that is open is watched from now on.
    if (this.#open.size > 0 && this.#timer === undefined && !this.#isLooking) this.#later();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #soon(): void {
    this.#delay = FIRST_DELAY_MS;
    if (!this.#isLooking) this.#later();
  }

  #later(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#look(), this.#delay).unref();
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY_MS);
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isLooking = true;
    let isBusy = false;
    try {
      this.saw((await this.#parts.listening()) ?? []);
      isBusy = this.#open.size > 0 || ((await this.#parts.isBusy()) ?? false);
    } catch {
      // The VM ended while it was looked at.
      this.saw([]);
    }
    this.#isLooking = false;
    if (this.#running > 0 || isBusy) this.#later();
  }
}
