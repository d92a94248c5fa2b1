const HEAD_BYTES = 5;

/** Returns whether a body of this type consists of gRPC messages. */
export function isGrpc(contentType: string): boolean {
  return /^application\/grpc\b/i.test(contentType);
}

/** Follows the bytes of gRPC messages: one byte of flags, four bytes of length, and so many bytes. */
export class GrpcMessages {
  #left = 0;
  readonly #head: number[] = [];

  /** Takes the next bytes. @returns whether a message ends with them */
  take(bytes: Buffer): boolean {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#head.push(bytes[at++] as number);
      if (this.#head.length < HEAD_BYTES) continue;
      this.#left = Buffer.from(this.#head).readUInt32BE(1);
      this.#head.length = 0;
    }
    return this.#left === 0 && this.#head.length === 0;
  }
}
