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
    return this.#entries.filter((entry) => entry.time >= time && entry.allowed !== true);
  }

  /** Notes a connection that an answer has allowed. */
  allowed(connection: Pick<NetworkLogEntry, "host" | "port" | "reason">): void {
    this.#note({ ...connection, code: "answered", allowed: true });
  }

  denied(denial: NetworkDeniedEvent): void {
    this.#count();
    const time = this.#note(denial);
    // A VM may cause ten thousand denials a second, which must not flood the clients' connections.
    const second = Math.floor(time / 1000);
    if (second !== this.#second) this.#sent = 0;
    this.#second = second;
    this.#sent += 1;
    if (this.#sent <= MAX_DENIED_EVENTS_PER_SECOND) this.#emit(denial);
  }

  /** Adds an entry, or counts it in the last one. @returns its time */
  #note(entry: Omit<NetworkLogEntry, "time" | "count">): number {
    const time = Date.now();
    const last = this.#entries.at(-1);
    const isSame = (["host", "port", "reason", "allowed"] as const).every(
      (name) => last?.[name] === entry[name],
    );
    if (last !== undefined && isSame) {
      last.count += 1;
      last.time = time;
      if (entry.pid !== undefined) last.pid = entry.pid;
    } else {
      this.#entries.push({ ...entry, time, count: 1 });
      if (this.#entries.length > MAX_NETWORK_LOG) this.#entries = this.#entries.slice(-MAX_NETWORK_LOG);
    }
    return time;
  }
}
