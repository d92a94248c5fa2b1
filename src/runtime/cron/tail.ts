import { CRON_OUTPUT_BYTES } from "../../api/limits.ts";

/** The end of a command's output, stdout and stderr in the order in which they came. */
export class Tail {
  #pieces: Buffer[] = [];
  #bytes = 0;

  push(data: Buffer): void {
    const kept = data.subarray(-CRON_OUTPUT_BYTES);
    // A small read sits in a large buffer; keeping that would cost more than the output itself.
    this.#pieces.push(Buffer.from(kept));
    this.#bytes += kept.length;
    // Joined now and then: a command that writes bytes one by one must not leave a million pieces.
    if (this.#bytes > 2 * CRON_OUTPUT_BYTES || this.#pieces.length > 1024) this.#join();
  }

  #join(): void {
    const whole = Buffer.concat(this.#pieces).subarray(-CRON_OUTPUT_BYTES);
    this.#pieces = [Buffer.from(whole)];
    this.#bytes = whole.length;
  }

  /** Decoded as UTF-8, at most CRON_OUTPUT_BYTES long again: what is not UTF-8 becomes U+FFFD, three bytes for one. */
  text(): string {
    this.#join();
    const text = Buffer.from(fromCharacter(this.#pieces[0] as Buffer).toString("utf8"), "utf8");
    return fromCharacter(text.subarray(-CRON_OUTPUT_BYTES)).toString("utf8");
  }
}

/** Without the rest of a character whose beginning was cut off. */
function fromCharacter(bytes: Buffer): Buffer {
  let start = 0;
  while (start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start);
}
