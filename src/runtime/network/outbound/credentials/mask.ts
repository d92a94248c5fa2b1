import { Transform } from "node:stream";
import { GrpcMessages } from "../grpc.ts";
import type { Credential } from "./rules.ts";

const ASTERISK = 0x2a;

/** Writes asterisks over secrets that a response repeats. Lengths stay as they are. */
export class Mask {
  /** Bytes of each spelling of each secret, longest first. */
  readonly #needles: readonly Buffer[];

  /** @param encoded further texts from which a secret can be read */
  constructor(credentials: readonly Credential[], encoded: Iterable<string> = []) {
    const texts = [...credentials.filter(({ mask }) => mask).flatMap(spellings), ...encoded];
    this.#needles = [...new Set(texts)]
      .sort((one, other) => other.length - one.length)
      .flatMap((text) => [Buffer.from(text, "latin1"), Buffer.from(text)]);
  }

  get isEmpty(): boolean {
    return this.#needles.length === 0;
  }

  /** Masks a header or a status text. */
  text(text: string): string {
    const bytes = Buffer.from(text, "latin1");
    this.#cover(bytes);
    return bytes.toString("latin1");
  }

  /**
   * Makes a stream that masks a body. It holds back only bytes that may begin a secret.
   *
   * @param isMessages the body consists of gRPC messages, and the program may wait for each one
   */
  stream({ isMessages = false } = {}): Transform {
    let held = Buffer.alloc(0);
    const messages = isMessages ? new GrpcMessages() : undefined;
    return new Transform({
      transform: (piece: Buffer, _encoding, done) => {
        const bytes = Buffer.concat([held, piece]);
        this.#cover(bytes);
        const kept = messages?.take(piece) ? bytes.length : this.#beginsAt(bytes);
        held = bytes.subarray(kept);
        done(null, bytes.subarray(0, kept));
      },
      flush: (done) => done(null, held),
    });
  }

  #cover(bytes: Buffer): void {
    for (const needle of this.#needles) {
      for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length))
        bytes.fill(ASTERISK, at, at + needle.length);
    }
  }

  /** Returns where a secret may begin whose rest is still to come. */
  #beginsAt(bytes: Buffer): number {
    let first = bytes.length;
    for (const needle of this.#needles) {
      const from = Math.max(0, bytes.length - needle.length + 1);
      for (let at = bytes.indexOf(needle[0] as number, from); at >= 0 && at < first; ) {
        if (needle.subarray(0, bytes.length - at).equals(bytes.subarray(at))) first = at;
        at = bytes.indexOf(needle[0] as number, at + 1);
      }
    }
    return first;
  }
}

/** The ways in which a server may repeat a secret. */
function spellings({ value, headers }: Credential): string[] {
  const basic = headers.flatMap(([, text]) => /^Basic (.+)$/.exec(text)?.[1] ?? []);
  return [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), ...basic];
}
