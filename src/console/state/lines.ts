/** Lines that a view keeps. */
const MOST_LINES = 100_000;
/** Characters of one line that are shown. */
const MOST_CHARACTERS = 4_000;

/** Output as lines. Escapes of terminals are left out: a line is text and nothing else. */
export class Lines {
  #lines: string[] = [];
  #rest = "";
  /** Number of the first line that is kept. */
  first = 0;
  readonly #decoders = new Map<string, TextDecoder>();

  /** Adds a piece of a stream. */
  add(stream: string, data: Uint8Array): void {
    let decoder = this.#decoders.get(stream);
    if (decoder === undefined) {
      decoder = new TextDecoder();
      this.#decoders.set(stream, decoder);
    }
    const pieces = (this.#rest + decoder.decode(data, { stream: true })).split("\n");
    this.#rest = (pieces.pop() ?? "").slice(-MOST_CHARACTERS);
    for (const piece of pieces) this.#lines.push(plain(piece));
    const over = this.#lines.length - MOST_LINES;
    if (over <= 0) return;
    this.#lines = this.#lines.slice(over);
    this.first += over;
  }

  /** The lines now. The last line may not have ended. */
  get all(): string[] {
    return this.#rest === "" ? [...this.#lines] : [...this.#lines, plain(this.#rest)];
  }
}

/** Removes escapes and control characters; a carriage return begins the line again, as on a terminal. */
function plain(line: string): string {
  const text = line
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the text must not have
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, "")
    .replace(/\r$/, "");
  const last = text.slice(text.lastIndexOf("\r") + 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the text must not have
  return last.replace(/[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g, "").slice(0, MOST_CHARACTERS);
}
