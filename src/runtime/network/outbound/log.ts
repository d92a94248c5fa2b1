import type { NetworkDeniedEvent } from "../../../api/events.ts";
import { MAX_DENIED_EVENTS_PER_SECOND, MAX_NETWORK_LOG } from "../../../api/limits.ts";
import type { NetworkLogEntry } from "../../../api/types.ts";

/** What was denied, newest last. A repetition of the last entry counts it up. */
export class NetworkLog {
  readonly #emit: (payload: NetworkDeniedEvent) => void;
  #entries: NetworkLogEntry[] = [];
  #second = 0;
  #sent = 0;

  constructor(emit: (payload: NetworkDeniedEvent) => void) {
    this.#emit = emit;
  }

  get entries(): NetworkLogEntry[] {
    return this.#entries.map((entry) => ({ ...entry }));
  }

  denied(denial: NetworkDeniedEvent): void {
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
    // A VM that asks ten thousand times a second must not fill the connections of those who listen.
    const second = Math.floor(time / 1000);
    if (second !== this.#second) this.#sent = 0;
    this.#second = second;
    this.#sent += 1;
    if (this.#sent <= MAX_DENIED_EVENTS_PER_SECOND) this.#emit(denial);
  }
}
