const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #stopped = false;

  /** @param onTooLong a line passed `maxBytes`; nothing comes after it. */
  constructor(maxBytes: number, onLine: (line: string) => void, onTooLong: () => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  push(data: Buffer): void {
    let from = 0;
    while (!this.#stopped && from < data.byteLength) {
      const at = data.indexOf(NEWLINE, from);
      const end = at < 0 ? data.byteLength : at;
      this.#keep(data.subarray(from, end));
      if (at >= 0 && !this.#stopped) this.#end();
      from = end + 1;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#pieces = [];
  }

  #keep(piece: Buffer): void {
    this.#bytes += piece.byteLength;
    this.#pieces.push(piece);
    if (this.#bytes <= this.#maxBytes) return;
    this.stop();
    this.#onTooLong();
  }

  #end(): void {
    const [first] = this.#pieces;
    const line = this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    this.#onLine(line.toString("utf8"));
  }
}
