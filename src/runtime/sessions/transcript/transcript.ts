import { AgentVmError, vmStopped } from "../../../api/errors.ts";
import { MAX_SESSION_EVENTS } from "../../../api/limits.ts";
import type { SessionEvent } from "../../../api/methods/session-event.ts";
import type { JsonRpcNotification } from "../../../api/methods/session-types.ts";
import type { ByteShare } from "../../../base/byte-share.ts";
import { GroupWriter } from "../../../base/group-writer.ts";
import { loadOnce } from "../../../base/load-once.ts";
import { pause } from "../../../base/pace.ts";
import type { Store } from "../../store/store.ts";
import { MAX_SESSION_EVENT_BYTES } from "../limits.ts";
import { messageBytes } from "./message-bytes.ts";
import {
  type Position,
  type StoredEvent,
  type TranscriptEvent,
  TranscriptStore,
} from "./transcript-store.ts";

/** Excess events and bytes after which the oldest events are dropped in one step. */
const DROPPED_AT_ONCE = 1_000;
const DROPPED_AT_ONCE_BYTES = 16 * 1024 * 1024;

/** Memory of queued events above which the agent is paused, and below which it resumes. */
const PAUSE_ABOVE_BYTES = 4 * 1024 * 1024;
const RESUME_BELOW_BYTES = 1024 * 1024;

/** Memory of queued events of an agent that writes on although it is paused and the memory is full. */
const KILL_ABOVE_BYTES = 32 * 1024 * 1024;

/** Most memory of the events of one write, unless the first event alone takes more. */
const STEP_BYTES = 1024 * 1024;

/** Method of the event that replaces dropped events at the start of a transcript. */
const DROPPED_METHOD = "_agentvm/events_dropped";

interface Queued {
  notification: SessionEvent;
  text: string;
  /** Memory that it takes. */
  bytes: number;
  createdAt: number;
}

/** The running agent, as the writer of events. */
interface EventSource {
  /** Called when the queue grows too long for the store (`true`), and when it is short again (`false`). */
  pause(isPaused: boolean): void;
  /** Called when events could not be stored and are lost. Later events would follow a gap in the transcript. */
  kill(): void;
  /** Called when the agent writes on although it is paused. */
  killFor(fault: string): void;
}

/** The numbered events of one session. Each event is stored before it is sent to clients. */
export class Transcript {
  readonly #events: TranscriptStore;
  readonly #memory: ByteShare;
  readonly #onStored: (event: TranscriptEvent) => void;
  #source: EventSource | undefined;
  #position: Position | undefined;
  readonly #loadPosition = loadOnce(async () => {
    this.#position ??= await this.#events.position();
  });
  readonly #writer: GroupWriter<Queued>;
  #queuedBytes = 0;
  #crowded = false;
  /** Callers of `flushed` that wait. */
  readonly #flushing = new Set<{ failure: AgentVmError | undefined }>();
  /** Failure while nobody waited. The next caller of `flushed` hears of it. */
  #unheard: AgentVmError | undefined;
  /** `true` after a failed put, which may have left data after the position. */
  #suspect = false;
  #deleted = false;

  /**
   * @param memory pays for events that are not stored and sent yet
   * @param onStored called with each event in order, once it is stored
   */
  constructor(
    store: Store,
    sessionId: string,
    memory: ByteShare,
    onStored: (event: TranscriptEvent) => void,
  ) {
    this.#memory = memory;
    this.#events = new TranscriptStore(store, sessionId);
    this.#onStored = onStored;
    this.#writer = new GroupWriter({
      write: (group) => this.#write(group),
      count: countInStep,
      onLost: (cause) => this.#fail(cause),
    });
  }

  /** Sets the agent whose events come, from the start of its process. An agent that comes while the queue is long is paused. */
  setSource(source: EventSource | undefined): void {
    this.#source = source;
    if (this.#crowded) source?.pause(true);
  }

  /** Queues an event. `flushed` resolves when it is stored. @param values number of its values that nothing else pays for */
  append(notification: JsonRpcNotification, values = 0): void {
    if (this.#deleted) return;
    const text = JSON.stringify(notification);
    const bytes = messageBytes(text.length, values);
    this.#queued(bytes);
    const { isFull } = this.#memory;
    if (this.#crowded && isFull && this.#queuedBytes > KILL_ABOVE_BYTES)
      this.#source?.killFor("it wrote too much that is not stored yet");
    this.#setCrowded(this.#queuedBytes > PAUSE_ABOVE_BYTES || isFull);
    // `flushed` throws the error.
    // The agent may send anything; the type is that of the protocol.
    const event = notification as SessionEvent;
    this.#writer.add({ notification: event, text, bytes, createdAt: Date.now() }).catch(() => undefined);
  }

  /** Resolves when all appended events are stored. @throws AgentVmError `storage_failed` */
  async flushed(): Promise<void> {
    const caller = { failure: this.#unheard };
    this.#unheard = undefined;
    this.#flushing.add(caller);
    await this.#writer.idle();
    this.#flushing.delete(caller);
    if (caller.failure) throw caller.failure;
  }

  async lastSequenceNumber(): Promise<number> {
    return (await this.#load()).next - 1;
  }

  /** Stored events whose number is above `since`. If some were dropped, an event of DROPPED_METHOD comes first. */
  async *after(since = -1): AsyncGenerator<TranscriptEvent> {
    const { first, next } = await this.#load();
    if (since < first - 1) yield dropped(first - 1);
    for await (const event of this.#events.after(Math.max(since, first - 1))) {
      // Events after the position are still being stored, or their write has failed.
      if (event.seq >= next) return;
      yield event;
    }
  }

  async delete(): Promise<void> {
    this.#deleted = true;
    this.#writer.close(vmStopped());
    this.#queued(-this.#queuedBytes);
    this.#setCrowded(false);
    await this.#writer.idle();
    await this.#events.delete();
  }

  async #load(): Promise<Position> {
    if (this.#position === undefined) await this.#loadPosition();
    return this.#position as Position;
  }

  async #write(step: readonly Queued[]): Promise<void> {
    try {
      await this.#store(step);
    } finally {
      if (!this.#deleted) this.#queued(-step.reduce((sum, { bytes }) => sum + bytes, 0));
      if (this.#queuedBytes < RESUME_BELOW_BYTES) this.#setCrowded(false);
    }
  }

  async #store(step: readonly Queued[]): Promise<void> {
    const position = await this.#load();
    if (this.#suspect) await this.#events.cutAt(position);
    this.#suspect = false;
    const events: StoredEvent[] = step.map((event, index) => ({ seq: position.next + index, ...event }));
    const after = await this.#events.append(events, position);
    if (this.#deleted) return;
    this.#position = after;
    // Sending takes longer than storing: thousands of events at once must not block the event loop.
    for (const event of events) {
      const turn = pause();
      if (turn !== null) await turn;
      if (this.#deleted) return;
      this.#onStored(event);
    }
    await this.#dropOldest();
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

  /** Records a failed write. Later events reuse the numbers, because no client has seen the lost events. */
  #fail(cause: unknown): void {
    this.#queued(-this.#queuedBytes);
    this.#setCrowded(false);
    this.#suspect = true;
    const message = "The session's events could not be stored";
    const failure = new AgentVmError("storage_failed", message, {}, { cause });
    for (const caller of this.#flushing) caller.failure ??= failure;
    if (this.#flushing.size === 0) this.#unheard = failure;
    this.#source?.kill();
  }

  #queued(bytes: number): void {
    this.#queuedBytes += bytes;
    this.#memory.force(bytes);
  }

  #setCrowded(isCrowded: boolean): void {
    if (this.#crowded === isCrowded) return;
    this.#crowded = isCrowded;
    this.#source?.pause(isCrowded);
  }
}

/** Number of queued events that fit into one write. */
function countInStep(waiting: readonly Queued[]): number {
  let sum = 0;
  const end = waiting.findIndex(({ bytes }) => {
    sum += bytes;
    return sum > STEP_BYTES;
  });
  return end < 0 ? waiting.length : end;
}

function dropped(through: number): TranscriptEvent {
  return {
    seq: through,
    createdAt: 0,
    notification: { jsonrpc: "2.0", method: DROPPED_METHOD, params: { through } },
  };
}
