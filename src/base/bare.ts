/**
 * Writes values of BARE (Binary Application Record Encoding), in which RivetKit frames its messages and its files. A value of BARE has
 * no type of its own: the reader knows the order.
 */
export class BareWriter {
  readonly #parts: Uint8Array[] = [];

  byte(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  flag(value: boolean): this {
    return this.byte(value ? 1 : 0);
  }

  /** Writes an integer up to 2^53 - 1 in LEB128. */
  integer(value: number): this {
    const bytes: number[] = [];
    let rest = value;
    while (rest >= 0x80) {
      bytes.push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#parts.push(Uint8Array.of(...bytes, rest));
    return this;
  }

  /** Writes an integer up to 2^53 - 1 in 8 bytes. */
  fixed64(value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    this.#parts.push(bytes);
    return this;
  }

  data(value: Uint8Array): this {
    this.integer(value.byteLength);
    this.#parts.push(value);
    return this;
  }

  text(value: string): this {
    return this.data(new TextEncoder().encode(value));
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
    let offset = 0;
    for (const part of this.#parts) {
      all.set(part, offset);
      offset += part.byteLength;
    }
    return all;
  }
}

/** Reads values of BARE. Every method throws if the bytes end early. */
export class BareReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new Error("The message ends early");
    this.#offset += 1;
    return byte;
  }

  /** Passes over the version in front of a file, which takes 2 bytes. */
  version(): void {
    this.#take(2);
  }

  /** Reads an integer in LEB128. */
  integer(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (!Number.isSafeInteger(value)) throw new Error("The message has an integer above 2^53");
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  }

  /** Reads an integer in 8 bytes. */
  fixed64(): number {
    const { buffer, byteOffset } = this.#take(8);
    return Number(new DataView(buffer, byteOffset).getBigUint64(0, true));
  }

  data(): Uint8Array {
    return this.#take(this.integer());
  }

  text(): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.data());
  }

  /** Reads a value that may be missing. */
  optional<Value>(read: () => Value): Value | undefined {
    return this.byte() === 0 ? undefined : read();
  }

  #take(length: number): Uint8Array {
    const end = this.#offset + length;
    if (end > this.#bytes.byteLength) throw new Error("The message ends early");
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}
