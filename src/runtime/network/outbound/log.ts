import type { NetworkDeniedEvent } from "../../../api/events.ts";
import type { NetworkLogEntry } from "../../../api/methods/network.ts";
import { PerSecond } from "../../../base/per-second.ts";
import { MAX_DENIED_EVENTS_PER_SECOND, MAX_NETWORK_LOG } from "../limits.ts";

/** Log of denied connections, newest last. A repeated denial increments the last entry's count. */
export class NetworkLog {
  readonly #emit: (payload: NetworkDeniedEvent) => void;
  readonly #count: () => void;
  #entries: NetworkLogEntry[] = [];
  /** A VM may cause ten thousand denials a second, which must not flood the clients' connections. */
  readonly #events = new PerSecond(MAX_DENIED_EVENTS_PER_SECOND);

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
    this.#note(denial);
    if (!this.#events.isTooMany()) this.#emit(denial);
  }

  /** Adds an entry, or counts it in the last one. */
  #note(entry: Omit<NetworkLogEntry, "time" | "count">): void {
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
  }
}
