/** Bytes that several buffers share. It cuts them when there are too many. */
export interface OutputBudget {
  take(holder: { dropOldest(): boolean }, bytes: number): void;
  give(bytes: number): void;
  ended(holder: { dropOldest(): boolean }): void;
  forget(holder: { dropOldest(): boolean }): void;
}

/** Keeps the end of a command's output, stdout and stderr in order of arrival. */
export class Tail {
  readonly #maxBytes: number;
  readonly #budget: OutputBudget | undefined;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #isCut = false;

  constructor(maxBytes: number, budget?: OutputBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  /** Whether output is lost that would fit. */
  get isCut(): boolean {
    return this.#isCut;
  }

  push(data: Buffer): void {
    const kept = data.subarray(-this.#maxBytes);
    // Copy: a small read would keep its large buffer alive.
    this.#pieces.push(Buffer.from(kept));
    this.#bytes += kept.length;
    this.#budget?.take(this, kept.length);
    // A command that writes single bytes must not leave a million pieces.
    if (this.#bytes > 2 * this.#maxBytes || this.#pieces.length > 1024) this.#join();
  }

  /** Drops the older half for the sake of others. @returns `false` if nothing is left */
  dropOldest(): boolean {
    if (this.#bytes === 0) return false;
    this.#isCut = true;
    this.#join(Math.floor(Math.min(this.#bytes, this.#maxBytes) / 2));
    return true;
  }

  /** The command has ended: its output is dropped before that of others. */
  end(): void {
    this.#budget?.ended(this);
  }

  /** Forgets everything. */
  clear(): void {
    this.#join(0);
    this.#budget?.forget(this);
  }

  #join(bytes = this.#maxBytes): void {
    const all = Buffer.concat(this.#pieces);
    const whole = all.subarray(Math.max(0, all.length - bytes));
    this.#pieces = [Buffer.from(whole)];
    this.#budget?.give(this.#bytes - whole.length);
    this.#bytes = whole.length;
  }

  /** Decodes the tail as UTF-8, cut to `maxBytes` again: each invalid byte becomes U+FFFD, which has 3 bytes. */
  text(): string {
    this.#join();
    const text = Buffer.from(fromCharacter(this.#pieces[0] as Buffer).toString("utf8"), "utf8");
    return fromCharacter(text.subarray(-this.#maxBytes)).toString("utf8");
  }
}

/** Drops the rest of a character whose first byte was cut off. */
function fromCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start);
}
