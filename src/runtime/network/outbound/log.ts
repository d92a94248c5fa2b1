import type { NetworkDeniedEvent } from "../../../api/events.ts";
import type { NetworkLogEntry } from "../../../api/methods/network.ts";
import { MAX_DENIED_EVENTS_PER_SECOND, MAX_NETWORK_LOG } from "../limits.ts";

/** Log of denied connections, newest last. A repeated denial increments the last entry's count. */
export class NetworkLog {
  readonly #emit: (payload: NetworkDeniedEvent) => void;
  readonly #count: () => void;
  #entries: NetworkLogEntry[] = [];
  #second = 0;
  #sent = 0;

  /** @param count called for each denial, sent or not */
  constructor(emit: (payload: NetworkDeniedEvent) => void, count: () => void = () => undefined) {
    this.#emit = emit;
    this.#count = count;
  }

  get entries(): NetworkLogEntry[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  /** Entries with a denial at or after a time in Unix milliseconds. */
  since(time: number): NetworkLogEntry[] {
    return this.#entries.filter((entry) => entry.time >= time);
  }

  denied(denial: NetworkDeniedEvent): void {
    this.#count();
    const time = Date.now();
    const last = this.#entries.at(-1);
    if (last?.host === denial.host && last.port === denial.port && last.reason === denial.reason) {
      last.count += 1;
      last.time = time;
      if (denial.pid !== undefined) last.pid = denial.pid;
    } else {
      this.#entries.push({ ...denial, time, count: 1 });
      if (this.#entries.length > MAX_NETWORK_LOG) this.#entries = this.#entries.slice(-MAX_NETWORK_LOG);
    }
    // A VM may cause ten thousand denials a second, which must not flood the clients' connections.
    const second = Math.floor(time / 1000);
    if (second !== this.#second) this.#sent = 0;
    this.#second = second;
    this.#sent += 1;
    if (this.#sent <= MAX_DENIED_EVENTS_PER_SECOND) this.#emit(denial);
  }
}
