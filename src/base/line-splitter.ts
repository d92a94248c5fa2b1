const NEWLINE = 0x0a;

/** First size of the buffer for an incomplete line, in bytes. */
const MIN_ROOM_BYTES = 4096;

const NOTHING = Buffer.alloc(0);

/** Cuts a stream of bytes into lines. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;
  /** Incomplete line, in one buffer that doubles. Keeping pieces of 1 byte would take a hundred times their size. */
  #room = NOTHING;
  #bytes = 0;
  #stopped = false;

  /** @param onTooLong called when a line exceeds `maxBytes`; later input is ignored */
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
      const piece = data.subarray(from, end);
      if (this.#bytes + piece.byteLength > this.#maxBytes) {
        this.stop();
        this.#onTooLong();
      } else if (at < 0) this.#keep(piece);
      else this.#end(piece);
      from = end + 1;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#room = NOTHING;
  }

  #keep(piece: Buffer): void {
    const bytes = this.#bytes + piece.byteLength;
    if (bytes > this.#room.byteLength) {
      const room = Buffer.allocUnsafeSlow(Math.max(MIN_ROOM_BYTES, Math.min(2 * bytes, this.#maxBytes)));
      this.#room.copy(room, 0, 0, this.#bytes);
      this.#room = room;
    }
    piece.copy(this.#room, this.#bytes);
    this.#bytes = bytes;
  }

  #end(piece: Buffer): void {
    if (this.#bytes === 0) {
      this.#onLine(piece.toString("utf8"));
      return;
    }
    this.#keep(piece);
    const line = this.#room.toString("utf8", 0, this.#bytes);
    this.#room = NOTHING;
    this.#bytes = 0;
    this.#onLine(line);
  }
}
