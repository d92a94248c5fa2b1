import { StringDecoder } from "node:string_decoder";
import { BodyCollector } from "./body-collector.ts";

const NEWLINE = 0x0a;

/** Bytes of a line that are decoded together. A MiB of bytes that are no text takes 8 ms. */
const PIECE_BYTES = 256 * 1024;

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;
  readonly #decoder = new StringDecoder("utf8");
  /** Incomplete line: its text so far, the bytes of this text, and further bytes. */
  #text = "";
  #decoded = 0;
  readonly #begun = new BodyCollector();
  #stopped = false;

  /** @param onTooLong called when a line exceeds `maxBytes`; later input is ignored */
  constructor(maxBytes: number, onLine: (line: string) => void, onTooLong: () => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  /** Bytes of the line that has begun. */
  get begun(): number {
    return this.#decoded + this.#begun.length;
  }

  push(data: Buffer): void {
    let from = 0;
    while (!this.#stopped && from < data.byteLength) {
      const at = data.indexOf(NEWLINE, from);
      const end = at < 0 ? data.byteLength : at;
      const piece = data.subarray(from, end);
      if (this.begun + piece.byteLength > this.#maxBytes) {
        this.stop();
        this.#onTooLong();
      } else if (at < 0) this.#add(piece);
      else this.#end(piece);
      from = end + 1;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#take();
  }

  #add(piece: Buffer): void {
    this.#begun.add(piece);
    if (this.#begun.length >= PIECE_BYTES) this.#decode();
  }

  #end(piece: Buffer): void {
    if (this.begun === 0) {
      this.#onLine(piece.toString("utf8"));
      return;
    }
    this.#begun.add(piece);
    this.#onLine(this.#take());
  }

  #decode(): void {
    this.#decoded += this.#begun.length;
    this.#text += this.#decoder.write(this.#begun.take());
  }

  /** Returns the line so far, and begins another one. */
  #take(): string {
    this.#decode();
    const line = this.#text + this.#decoder.end();
    this.#text = "";
    this.#decoded = 0;
    return line;
  }
}
