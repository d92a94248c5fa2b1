import type { AgentVmError } from "../../api/errors.ts";
import { errorOf } from "./error-body.ts";
import { decodeMuxFrame, encodeMuxFrame, FRAME, type MuxFrame } from "./frames.ts";
import { MuxStream, MuxViolation, type StreamCarrier } from "./stream.ts";

/** Bytes that wait to be sent on a connection above which its streams write no more. */
const FULL_BYTES = 1024 * 1024;

/** Messages in both directions, in order. */
export interface MuxTransport {
  send(message: Uint8Array<ArrayBuffer>): void;
  /** Bytes that wait to be sent. */
  waiting(): number;
}

export interface MuxEvents {
  /** The other side opens a stream: `accept` or `reset` it. */
  onOpen(stream: MuxStream): void;
  /** The server has accepted the connection, after which streams may be opened. Only a client has it. */
  onAccepted?(): void;
  /** The server ends the connection. Only a client has it. */
  onError?(error: AgentVmError): void;
}

/** Many streams over one connection. The client's streams have odd numbers and the server's have even numbers. */
export class Mux implements StreamCarrier {
  readonly #transport: MuxTransport;
  readonly #events: MuxEvents;
  readonly #streams = new Map<number, MuxStream>();
  #nextId: number;
  /** Number of the last stream that the other side has opened. */
  #lastOther: number;
  #error: AgentVmError | undefined;
  #wasFull = false;

  constructor(side: "client" | "server", transport: MuxTransport, events: MuxEvents) {
    this.#transport = transport;
    this.#events = events;
    this.#nextId = side === "client" ? 1 : 2;
    this.#lastOther = side === "client" ? 0 : -1;
  }

  /** Number of open streams. */
  get size(): number {
    return this.#streams.size;
  }

  /** Opens a stream. @param use says the purpose, as JSON */
  open(use: unknown): MuxStream {
    const stream = new MuxStream(this, this.#nextId, new TextEncoder().encode(JSON.stringify(use)));
    this.#nextId += 2;
    if (this.#error !== undefined) {
      const error = this.#error;
      queueMicrotask(() => stream.fail(error));
      return stream;
    }
    this.#streams.set(stream.id, stream);
    this.send(encodeMuxFrame(FRAME.open, stream.id, stream.body));
    return stream;
  }

  /** Takes a message of the other side. @throws MuxViolation */
  receive(message: Uint8Array): void {
    const frame = decodeMuxFrame(message);
    if (frame === undefined) throw new MuxViolation("a message is not a frame");
    if (frame.id === 0) return void this.#heard(frame);
    if (frame.kind === FRAME.open) return void this.#opened(frame);
    const stream = this.#streams.get(frame.id);
    if (stream !== undefined) stream.take(frame, this.#isOwn(frame.id));
    // The other side may not know yet that the stream has ended.
    else if (this.#isOwn(frame.id) ? frame.id >= this.#nextId : frame.id > this.#lastOther)
      throw new MuxViolation("the stream was never opened");
  }

  /** Some messages have been sent. */
  drained(): void {
    if (!this.#wasFull || this.#transport.waiting() > FULL_BYTES / 2) return;
    this.#wasFull = false;
    for (const stream of this.#streams.values()) {
      if (this.isFull()) return;
      stream.resume();
    }
  }

  /** Ends all streams: the connection is over. */
  end(error: AgentVmError): void {
    this.#error ??= error;
    for (const stream of [...this.#streams.values()]) stream.fail(error);
  }

  send(frame: Uint8Array<ArrayBuffer>): void {
    if (this.#error === undefined) this.#transport.send(frame);
  }

  isFull(): boolean {
    this.#wasFull ||= this.#transport.waiting() >= FULL_BYTES;
    return this.#wasFull;
  }

  forget({ id }: MuxStream): void {
    this.#streams.delete(id);
  }

  #isOwn(id: number): boolean {
    return id % 2 === this.#nextId % 2;
  }

  /** Takes a frame of the connection itself. */
  #heard({ kind, body }: MuxFrame): void {
    const { onAccepted, onError } = this.#events;
    const error = kind === FRAME.reset ? errorOf(body) : undefined;
    if (kind === FRAME.opened && onAccepted !== undefined) onAccepted();
    else if (error !== undefined && onError !== undefined) onError(error);
    else throw new MuxViolation("the frame has no stream");
  }

  #opened({ id, body }: MuxFrame): void {
    if (this.#isOwn(id) || id <= this.#lastOther) throw new MuxViolation("the number of a stream is used");
    this.#lastOther = id;
    const stream = new MuxStream(this, id, body);
    this.#streams.set(id, stream);
    this.#events.onOpen(stream);
  }
}
