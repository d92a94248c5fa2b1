import type { AgentVmError } from "../../api/errors.ts";
import { errorBody, errorOf } from "./error-body.ts";
import {
  creditOf,
  encodeCredit,
  encodeMuxFrame,
  FRAME,
  MAX_DATA_BYTES,
  type MuxFrame,
  WINDOW_BYTES,
} from "./frames.ts";

/** Credit that is sent at once. Smaller amounts wait for each other. */
const CREDIT_STEP_BYTES = WINDOW_BYTES / 4;

/** The other side has broken the protocol. */
export class MuxViolation extends Error {}

/** The part of a connection that its streams use. */
export interface StreamCarrier {
  send(frame: Uint8Array<ArrayBuffer>): void;
  /** Whether many bytes wait to be sent. `resume` follows. */
  isFull(): boolean;
  forget(stream: MuxStream): void;
}

/**
 * Bytes in both directions over a connection that carries many such streams. Each side sends no more than the other side
 * allows, so that no stream fills memory or delays another.
 */
export class MuxStream {
  readonly id: number;
  /** Use of the stream, as JSON of the side that opened it. */
  readonly body: Uint8Array;
  readonly #carrier: StreamCarrier;
  /** The other side has accepted the stream. */
  onOpened: () => void = () => undefined;
  /** Bytes have arrived. The receiver calls `grant` for them when it has used them. */
  onData: (bytes: Uint8Array) => void = () => undefined;
  /** No more bytes arrive. */
  onEnd: () => void = () => undefined;
  /** More may be written after a `write` that has returned `false`. */
  onWritable: () => void = () => undefined;
  /** The stream has ended in both directions, or with an error; `undefined` also for a reset without a reason. */
  onClosed: (wasReset: boolean, error?: AgentVmError) => void = () => undefined;
  #isOpen = false;
  #isClosed = false;
  #hasEnded = false;
  #otherHasEnded = false;
  /** Bytes that may be sent. */
  #credit = WINDOW_BYTES;
  /** Bytes that the other side may send. */
  #room = WINDOW_BYTES;
  #owed = 0;
  #queue: Uint8Array[] = [];
  #endsAfterQueue = false;

  constructor(carrier: StreamCarrier, id: number, body: Uint8Array) {
    this.#carrier = carrier;
    this.id = id;
    this.body = body;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether the other side sends no more bytes. */
  get otherHasEnded(): boolean {
    return this.#otherHasEnded;
  }

  /** Accepts a stream that the other side has opened. */
  accept(): void {
    if (this.#isClosed || this.#isOpen) return;
    this.#isOpen = true;
    this.#carrier.send(encodeMuxFrame(FRAME.opened, this.id));
  }

  /** Sends bytes, or keeps them until they may be sent. @returns `false` if the writer must wait for `onWritable` */
  write(bytes: Uint8Array): boolean {
    if (this.#isClosed || bytes.byteLength === 0) return true;
    this.#queue.push(bytes);
    return this.#flush();
  }

  /** Sends no more bytes after those written so far. */
  end(): void {
    this.#endsAfterQueue = true;
    this.#flush();
  }

  /** Allows the other side so many more bytes. */
  grant(bytes: number): void {
    if (this.#isClosed || this.#otherHasEnded) return;
    this.#owed += bytes;
    if (this.#owed < CREDIT_STEP_BYTES) return;
    this.#room += this.#owed;
    this.#carrier.send(encodeCredit(this.id, this.#owed));
    this.#owed = 0;
  }

  /** Ends the stream at once in both directions. */
  reset(error?: AgentVmError): void {
    if (this.#isClosed) return;
    this.#carrier.send(encodeMuxFrame(FRAME.reset, this.id, errorBody(error)));
    this.#close(true, error);
  }

  /** Ends the stream with its connection. */
  fail(error: AgentVmError): void {
    if (!this.#isClosed) this.#close(true, error);
  }

  /** The connection can send more. */
  resume(): void {
    if (!this.#isClosed && this.#flush()) this.onWritable();
  }

  /** Takes a frame of the stream. @throws MuxViolation */
  take(frame: MuxFrame, isOwn: boolean): void {
    const { kind, body } = frame;
    if (kind === FRAME.reset) return void this.#close(true, errorOf(body));
    if (kind === FRAME.opened) {
      if (!isOwn || this.#isOpen) throw new MuxViolation("a stream was accepted twice");
      this.#isOpen = true;
      this.onOpened();
      return;
    }
    if (!this.#isOpen) throw new MuxViolation("bytes came before the stream was accepted");
    if (kind === FRAME.credit) this.#takeCredit(creditOf(frame));
    else if (this.#otherHasEnded) throw new MuxViolation("bytes came after the end");
    else if (kind === FRAME.end) this.#takeEnd();
    else this.#takeData(body);
  }

  #takeCredit(bytes: number): void {
    this.#credit += bytes;
    if (bytes === 0 || this.#credit > WINDOW_BYTES) throw new MuxViolation("more credit than bytes");
    this.resume();
  }

  #takeEnd(): void {
    this.#otherHasEnded = true;
    this.onEnd();
    this.#closeIfDone();
  }

  #takeData(body: Uint8Array): void {
    this.#room -= body.byteLength;
    if (this.#room < 0) throw new MuxViolation("more bytes than credit");
    this.onData(body);
  }

  /** Sends what may be sent. @returns whether more may be written */
  #flush(): boolean {
    while (!this.#isClosed && this.#queue.length > 0 && this.#credit > 0 && !this.#carrier.isFull()) {
      const [first] = this.#queue as [Uint8Array];
      const bytes = first.subarray(0, Math.min(this.#credit, MAX_DATA_BYTES));
      if (bytes.byteLength === first.byteLength) this.#queue.shift();
      else this.#queue[0] = first.subarray(bytes.byteLength);
      this.#credit -= bytes.byteLength;
      this.#carrier.send(encodeMuxFrame(FRAME.data, this.id, bytes));
    }
    if (this.#queue.length > 0) return false;
    if (this.#endsAfterQueue && !this.#hasEnded && !this.#isClosed) {
      this.#hasEnded = true;
      this.#carrier.send(encodeMuxFrame(FRAME.end, this.id));
      this.#closeIfDone();
    }
    return this.#credit > 0 && !this.#carrier.isFull();
  }

  #closeIfDone(): void {
    if (this.#hasEnded && this.#otherHasEnded) this.#close(false);
  }

  #close(wasReset: boolean, error?: AgentVmError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#queue = [];
    this.#carrier.forget(this);
    this.onClosed(wasReset, error);
  }
}
