import { AgentVmError } from "../../api/errors.ts";
import { MAX_SESSION_EVENT_BYTES, MAX_SESSION_EVENTS } from "../../api/limits.ts";
import type { JsonRpcNotification } from "../../api/types.ts";
import { pause } from "../sandbox/pace.ts";
import type { Store } from "../store.ts";
import { type Position, type SessionEvent, type StoredEvent, TranscriptStore } from "./transcript-store.ts";

/** Events past the kept ones that go in one step. */
const DROPPED_AT_ONCE = 1_000;
const DROPPED_AT_ONCE_BYTES = 16 * 1024 * 1024;

/** Events that wait for the store: above the first, whoever writes them shall wait; below the second, go on. */
const PAUSE_ABOVE_BYTES = 4 * 1024 * 1024;
const RESUME_BELOW_BYTES = 1024 * 1024;

/** Events that go to the store in one step, in bytes. */
const STEP_BYTES = 1024 * 1024;

/** Stands in a transcript for the events before it that are no longer kept. */
export const DROPPED_METHOD = "_agentvm/events_dropped";

interface Queued {
  notification: JsonRpcNotification;
  text: string;
  createdAt: number;
}

export interface TranscriptHooks {
  /** Called with each event in order, once it is stored. */
  stored(event: SessionEvent): void;
  /** More waits than the store takes, or no longer. */
  crowded(isCrowded: boolean): void;
  /** Events could not be stored and are lost. */
  failed(error: AgentVmError): void;
}

/** The numbered events of one session. Each is stored before anybody hears of it. */
export class Transcript {
  readonly #events: TranscriptStore;
  readonly #hooks: TranscriptHooks;
  #position: Position | undefined;
  #loading: Promise<Position> | undefined;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #crowded = false;
  #writing: Promise<void> | undefined;
  #failure: AgentVmError | undefined;
  /** A put failed: it may have left something behind the position. */
  #suspect = false;
  #deleted = false;

  constructor(store: Store, sessionId: string, hooks: TranscriptHooks) {
    this.#events = new TranscriptStore(store, sessionId);
    this.#hooks = hooks;
  }

  /** Adds an event; `flushed` tells when it is stored. */
  append(notification: JsonRpcNotification): void {
    if (this.#deleted) return;
    const text = JSON.stringify(notification);
    this.#queue.push({ notification, text, createdAt: Date.now() });
    this.#queuedBytes += text.length;
    this.#crowd(this.#queuedBytes > PAUSE_ABOVE_BYTES);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when everything that was appended is stored. @throws AgentVmError `storage_failed` */
  async flushed(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
  }

  async lastSequenceNumber(): Promise<number> {
    return (await this.#load()).next - 1;
  }

  /** Stored events after a number; before those that are left of a longer transcript, one that tells so. */
  async *after(since = -1): AsyncGenerator<SessionEvent> {
    const { first, next } = await this.#load();
    if (since < first - 1) yield dropped(first - 1);
    for await (const event of this.#events.after(Math.max(since, first - 1))) {
      // Behind the position lies what is being stored, or could not be.
      if (event.seq >= next) return;
      yield event;
    }
  }

  async delete(): Promise<void> {
    this.#deleted = true;
    this.#queue = [];
    await this.#writing;
    await this.#events.delete();
  }

  async #load(): Promise<Position> {
    if (this.#position) return this.#position;
    this.#loading ??= this.#events.position().finally(() => {
      this.#loading = undefined;
    });
    const position = await this.#loading;
    this.#position ??= position;
    return this.#position;
  }

  async #writeAll(): Promise<void> {
    // What comes in the same turn goes together.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) await this.#writeSome();
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.#writing = undefined;
      this.#crowd(false);
    }
  }

  async #writeSome(): Promise<void> {
    const position = await this.#load();
    if (this.#suspect) await this.#events.cutAt(position);
    this.#suspect = false;
    const step = this.#take();
    const events: StoredEvent[] = step.map((event, index) => ({ seq: position.next + index, ...event }));
    const after = await this.#events.append(events, position);
    if (this.#deleted) return;
    this.#position = after;
    // Sending takes longer than storing: thousands of events at once must not hold the event loop.
    for (const event of events) {
      const turn = pause();
      if (turn !== null) await turn;
      if (this.#deleted) return;
      this.#hooks.stored(event);
    }
    await this.#dropOldest();
  }

  #take(): Queued[] {
    let count = 0;
    let bytes = 0;
    for (const { text } of this.#queue) {
      if (count > 0 && bytes + text.length > STEP_BYTES) break;
      bytes += text.length;
      count++;
    }
    this.#queuedBytes -= bytes;
    if (this.#queuedBytes < RESUME_BELOW_BYTES) this.#crowd(false);
    return this.#queue.splice(0, count);
  }

  async #dropOldest(): Promise<void> {
    const position = await this.#load();
    const { first, next, bytes } = position;
    const tooMany = next - first >= MAX_SESSION_EVENTS + DROPPED_AT_ONCE;
    const tooLarge = bytes >= MAX_SESSION_EVENT_BYTES + DROPPED_AT_ONCE_BYTES;
    if (!tooMany && !tooLarge) return;
    const before = Math.max(first, next - MAX_SESSION_EVENTS);
    this.#position = await this.#events.drop(position, before, MAX_SESSION_EVENT_BYTES);
  }

  /** Nobody has heard of what was not stored: its numbers are given out again. */
  #fail(cause: unknown): void {
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#suspect = true;
    this.#failure = new AgentVmError(
      "storage_failed",
      "The session's events could not be stored",
      {},
      { cause },
    );
    this.#hooks.failed(this.#failure);
  }

  #crowd(isCrowded: boolean): void {
    if (this.#crowded === isCrowded) return;
    this.#crowded = isCrowded;
    this.#hooks.crowded(isCrowded);
  }
}

function dropped(through: number): SessionEvent {
  return {
    seq: through,
    createdAt: 0,
    notification: { jsonrpc: "2.0", method: DROPPED_METHOD, params: { through } },
  };
}
