import { EVENT_RIGHTS, LOGGED_EVENTS, type LoggedEventName, type VmEventName } from "../api/events.ts";
import type { EventLogEntry } from "../api/methods/machine.ts";
import { permits, type Right } from "../api/rights.ts";
import { MAX_LOGGED_EVENT_CHARACTERS, MAX_LOGGED_EVENTS, MAX_LOGGED_EVENTS_BYTES } from "./limits.ts";

/** Memory of an entry without its text. */
const ENTRY_BYTES = 200;

interface Ring {
  entries: EventLogEntry[];
  bytes: number;
}

const LOGGED: ReadonlySet<VmEventName> = new Set(LOGGED_EVENTS);
const isLogged = (name: VmEventName): name is LoggedEventName => LOGGED.has(name);

/**
 * Late events of the VMs of a server, in memory: also of VMs that sleep. The VMs that were quiet longest are forgotten first.
 * @internal exported for tests of its limits
 */
export class EventLogs {
  /** Rings by actor, those with the latest event last. */
  readonly #rings = new Map<string, Ring>();
  readonly #maxBytes: number;
  #bytes = 0;
  #last = 0;

  constructor(maxBytes = MAX_LOGGED_EVENTS_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Notes an event, if it is of a kind that is logged. */
  add(actorId: string, name: VmEventName, payload: unknown): void {
    if (!isLogged(name)) return;
    const text = startOf(JSON.stringify(payload));
    const ring = this.#rings.get(actorId) ?? { entries: [], bytes: 0 };
    this.#rings.delete(actorId);
    this.#rings.set(actorId, ring);
    const at = Date.now();
    // Numbers follow the clock, so that they grow over a restart, and over a move of the VM to another server.
    this.#last = Math.max(this.#last + 1, at * 1000);
    ring.entries.push({ number: this.#last, at, name, text });
    this.#count(ring, memoryOf(text));
    if (ring.entries.length > MAX_LOGGED_EVENTS)
      this.#count(ring, -memoryOf(ring.entries.shift()?.text ?? ""));
    for (const oldest of this.#rings.keys()) {
      if (this.#bytes <= this.#maxBytes || oldest === actorId) break;
      this.forget(oldest);
    }
  }

  /** Returns the events that a client with these rights may see, oldest first. */
  read(actorId: string, may: readonly Right[], after: number): EventLogEntry[] {
    const { entries = [] } = this.#rings.get(actorId) ?? {};
    return entries.filter(({ number, name }) => number > after && permits(may, EVENT_RIGHTS[name]));
  }

  forget(actorId: string): void {
    this.#bytes -= this.#rings.get(actorId)?.bytes ?? 0;
    this.#rings.delete(actorId);
  }

  #count(ring: Ring, bytes: number): void {
    ring.bytes += bytes;
    this.#bytes += bytes;
  }
}

/** Returns the start of a long text as a copy: a part of a string would keep the whole string in memory. */
function startOf(text: string): string {
  if (text.length <= MAX_LOGGED_EVENT_CHARACTERS) return text;
  return Buffer.from(text.slice(0, MAX_LOGGED_EVENT_CHARACTERS)).toString();
}

function memoryOf(text: string): number {
  return ENTRY_BYTES + 2 * text.length;
}

/** The events of the VMs of this process. */
export const eventLogs = new EventLogs();
