/** The end of a command's output, stdout and stderr in the order in which they came. */
export class Tail {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(data: Buffer): void {
    const kept = data.subarray(-this.#maxBytes);
    // A small read sits in a large buffer; keeping that would cost more than the output itself.
    this.#pieces.push(Buffer.from(kept));
    this.#bytes += kept.length;
    // Joined now and then: a command that writes bytes one by one must not leave a million pieces.
    if (this.#bytes > 2 * this.#maxBytes || this.#pieces.length > 1024) this.#join();
  }

  #join(): void {
    const whole = Buffer.concat(this.#pieces).subarray(-this.#maxBytes);
    this.#pieces = [Buffer.from(whole)];
    this.#bytes = whole.length;
  }

  /** Decoded as UTF-8, at most `maxBytes` long again: what is not UTF-8 becomes U+FFFD, three bytes for one. */
  text(): string {
    this.#join();
    const text = Buffer.from(fromCharacter(this.#pieces[0] as Buffer).toString("utf8"), "utf8");
    return fromCharacter(text.subarray(-this.#maxBytes)).toString("utf8");
  }
}

/** Without the rest of a character whose beginning was cut off. */
function fromCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start);
}
