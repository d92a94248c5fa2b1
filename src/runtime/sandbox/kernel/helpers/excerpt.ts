import type { Readable } from "node:stream";

/** Far more than a tool says about why it could not start. */
const MAX_BYTES = 4096;

/** Keeps the first text of a stream, and closes a stream that sends more. */
export class Excerpt {
  readonly ended: Promise<void>;
  #bytes = Buffer.alloc(0);

  constructor(stream: Readable) {
    stream.on("data", (data: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, data.subarray(0, MAX_BYTES - this.#bytes.length)]);
      if (this.#bytes.length === MAX_BYTES) stream.destroy();
    });
    stream.on("error", () => stream.destroy());
    this.ended = new Promise((resolve) => stream.once("close", () => resolve()));
  }

  get text(): string {
    return this.#bytes.toString("utf8");
  }
}
