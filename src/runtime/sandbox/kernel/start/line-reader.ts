import type { Readable } from "node:stream";

/** Far more than the few short lines that are expected. */
const MAX_BYTES = 4096;

/** The first lines of a stream, one at a time; one that says more than was asked for is closed. */
export class LineReader {
  readonly #stream: Readable;
  readonly #lines: string[] = [];
  #rest = "";
  #bytes = 0;
  #closed = false;
  #waiting: ((line: string | undefined) => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (data: Buffer) => this.#take(data));
    stream.on("close", () => this.close());
    stream.on("error", () => this.close());
  }

  /** `undefined` when there is no further line, or none within this time. */
  next(timeoutMs: number): Promise<string | undefined> {
    const line = this.#lines.shift();
    if (line !== undefined || this.#closed) return Promise.resolve(line);
    return new Promise((resolve) => {
      const deadline = setTimeout(() => this.close(), timeoutMs);
      this.#waiting = (answer) => {
        clearTimeout(deadline);
        this.#waiting = undefined;
        resolve(answer);
      };
    });
  }

  close(): void {
    this.#closed = true;
    this.#stream.destroy();
    this.#waiting?.(undefined);
  }

  #take(data: Buffer): void {
    this.#bytes += data.length;
    if (this.#bytes > MAX_BYTES) {
      this.close();
      return;
    }
    const lines = (this.#rest + data.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    this.#lines.push(...lines);
    if (this.#waiting !== undefined && this.#lines.length > 0) this.#waiting(this.#lines.shift());
  }
}
