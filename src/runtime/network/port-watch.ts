import type { VmPort } from "../../api/methods/network.ts";
import { BackOff } from "../../base/back-off.ts";
import type { VmServices } from "../vm-services.ts";

/** The kernel does not announce ports, so the server polls its tables: soon after a start, then ever less often. */
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2_000;

interface PortWatchDeps {
  /** Lists the listening ports; `undefined` while the VM is down. */
  listening(): Promise<VmPort[]> | undefined;
  /** Whether a started process runs in the VM, including daemons of ended commands. `undefined` while the VM is down. */
  isBusy(): Promise<boolean> | undefined;
  emit: VmServices["emit"];
}

/** Emits `portOpened` and `portClosed`. Polls only while a started process runs in the VM or a port is open. */
export class PortWatch {
  readonly #deps: PortWatchDeps;
  #open = new Map<string, VmPort>();
  #running = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #delay = new BackOff(FIRST_DELAY_MS, LONGEST_DELAY_MS);
  #isChecking = false;
  #isStopped = false;

  constructor(deps: PortWatchDeps) {
    this.#deps = deps;
  }

  /** Polls while `work` runs, which may open a port. */
  during(work: Promise<unknown>): void {
    this.#running += 1;
    const done = () => {
      this.#running -= 1;
      this.#checkSoon();
    };
    work.then(done, done);
    this.#checkSoon();
  }

  /** Compares a new list of ports with the last one and emits the differences. */
  update(ports: readonly VmPort[]): void {
    if (this.#isStopped) return;
    const before = this.#open;
    this.#open = new Map(ports.map((port) => [`${port.address} ${port.port}`, port]));
    for (const [key, port] of this.#open) if (!before.has(key)) this.#deps.emit("portOpened", port);
    for (const [key, { port, address }] of before) {
      if (!this.#open.has(key)) this.#deps.emit("portClosed", { port, address });
    }
    // The list may come from listPorts: watch its open ports from now on.
    if (this.#open.size > 0 && this.#timer === undefined && !this.#isChecking) this.#scheduleCheck();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #checkSoon(): void {
    this.#delay.restart();
    if (!this.#isChecking) this.#scheduleCheck();
  }

  #scheduleCheck(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#check(), this.#delay.next()).unref();
  }

  async #check(): Promise<void> {
    this.#timer = undefined;
    this.#isChecking = true;
    let isBusy = false;
    try {
      this.update((await this.#deps.listening()) ?? []);
      isBusy = this.#open.size > 0 || ((await this.#deps.isBusy()) ?? false);
    } catch {
      // The VM ended during the check.
      this.update([]);
    }
    this.#isChecking = false;
    if (this.#running > 0 || isBusy) this.#scheduleCheck();
  }
}
