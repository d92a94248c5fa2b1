import { BodyCollector } from "./body-collector.ts";

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;
  /** Incomplete line. */
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
    return this.#begun.length;
  }

  push(data: Buffer): void {
    let from = 0;
    while (!this.#stopped && from < data.byteLength) {
      const at = data.indexOf(NEWLINE, from);
      const end = at < 0 ? data.byteLength : at;
      const piece = data.subarray(from, end);
      if (this.#begun.length + piece.byteLength > this.#maxBytes) {
        this.stop();
        this.#onTooLong();
      } else if (at < 0) this.#begun.add(piece);
      else this.#end(piece);
      from = end + 1;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#begun.take();
  }

  #end(piece: Buffer): void {
    if (this.#begun.length === 0) {
      this.#onLine(piece.toString("utf8"));
      return;
    }
    this.#begun.add(piece);
    this.#onLine(this.#begun.take().toString("utf8"));
  }
}
