/** Keeps the end of a command's output, stdout and stderr in order of arrival. */
export class Tail {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(data: Buffer): void {
    const kept = data.subarray(-this.#maxBytes);
    // Copy: a small read would keep its large buffer alive.
    this.#pieces.push(Buffer.from(kept));
    this.#bytes += kept.length;
    // A command that writes single bytes must not leave a million pieces.
    if (this.#bytes > 2 * this.#maxBytes || this.#pieces.length > 1024) this.#join();
  }

  #join(): void {
    const whole = Buffer.concat(this.#pieces).subarray(-this.#maxBytes);
    this.#pieces = [Buffer.from(whole)];
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
