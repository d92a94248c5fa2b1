/** Share of a shortened text that shows its beginning. Errors are usually at the end. */
const HEAD = 0.4;

/** Ends the stderr of a command whose result lacks output. */
export const DROPPED_NOTE = "\n[agent-vm: further output was dropped]\n";

/** Returns a text of at most about `limit` characters: its beginning and its end, with a note between them. */
export function shortened(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const head = Math.floor(limit * HEAD);
  const tail = limit - head;
  const left = text.length - limit;
  return `${whole(text.slice(0, head))}\n[... ${left} characters left out ...]\n${whole(text.slice(-tail))}`;
}

/** Removes halves of characters that a cut has left. */
function whole(text: string): string {
  return text.replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, "");
}

/** Keeps the beginning and the end of a text that grows, so that a command may write any amount. */
export class ShortenedText {
  readonly #limit: number;
  #head = "";
  #tail = "";
  #dropped = 0;

  /** @param limit characters that are kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(text: string): void {
    const room = Math.floor(this.#limit * HEAD) - this.#head.length;
    this.#head += text.slice(0, room);
    this.#tail += text.slice(room);
    const tailLimit = this.#limit - Math.floor(this.#limit * HEAD);
    // Cuts twice the limit at once, so that many small pieces cost little.
    if (this.#tail.length > 2 * tailLimit) this.#cut(tailLimit);
  }

  get isShortened(): boolean {
    return this.#dropped > 0 || this.#head.length + this.#tail.length > this.#limit;
  }

  toString(): string {
    const tailLimit = this.#limit - Math.floor(this.#limit * HEAD);
    const over = Math.max(0, this.#tail.length - tailLimit);
    if (this.#dropped + over === 0) return this.#head + this.#tail;
    const note = `[... ${this.#dropped + over} characters left out ...]`;
    return `${whole(this.#head)}\n${note}\n${whole(this.#tail.slice(over))}`;
  }

  #cut(tailLimit: number): void {
    const over = this.#tail.length - tailLimit;
    this.#dropped += over;
    this.#tail = this.#tail.slice(over);
  }
}

/**
 * Returns lines of a text by 1-based, inclusive numbers. A file's own line ends stay. A range behind the end is empty. A line
 * feed ends a line, as `grep -n` counts; a carriage return does so in a text without line feeds.
 *
 * @param start first line. @default 1
 * @param end last line. @default the end of the text
 */
export function linesOf(text: string, start?: number, end?: number): string {
  if (start === undefined && end === undefined) return text;
  const lineEnd = text.includes("\n") ? "\n" : "\r";
  const lines = text.split(lineEnd);
  const until = end === undefined ? lines.length : Math.max(0, end);
  const wanted = lines.slice(Math.max(1, start ?? 1) - 1, until).join(lineEnd);
  // The end of the last line is left out.
  return lineEnd === "\n" && until < lines.length ? wanted.replace(/\r$/, "") : wanted;
}
