import type { OutputChunk, OutputStream } from "../api/methods/process-types.ts";
import type { AttachOptions } from "./run.ts";

type Listeners = Pick<AttachOptions, "onStdout" | "onStderr" | "captureStdio">;

/** Decodes the output of a command, hands it to its listeners, and keeps it up to a number of bytes. */
export class RunOutput {
  readonly #listeners: Listeners;
  readonly #decoders = { stdout: newDecoder(), stderr: newDecoder() };
  readonly #kept: Record<OutputStream | "output", string[]> = { stdout: [], stderr: [], output: [] };
  #bytes = 0;
  truncated = false;

  constructor(listeners: Listeners) {
    this.#listeners = listeners;
  }

  /** Takes the next chunk. Resolves when its listeners have done with it. @param captureBytes bytes that are kept */
  async push(chunk: OutputChunk, captureBytes: number): Promise<void> {
    const { stream, data } = chunk;
    const room = this.truncated ? 0 : captureBytes - this.#bytes;
    this.#bytes += data.byteLength;
    // Output after a gap is dropped: it would look like one text.
    if (data.byteLength > room) this.truncated = true;
    await this.#take(stream, this.#decoders[stream].decode(data.subarray(0, room), { stream: true }), true);
    await this.#take(stream, this.#decoders[stream].decode(data.subarray(room), { stream: true }), false);
  }

  /** Hands over the rest of a character that was never completed. */
  async end(): Promise<void> {
    for (const stream of ["stdout", "stderr"] as const)
      await this.#take(stream, this.#decoders[stream].decode(), !this.truncated);
  }

  async #take(stream: OutputStream, text: string, isKept: boolean): Promise<void> {
    if (text === "") return;
    const { captureStdio, onStdout, onStderr } = this.#listeners;
    if (isKept && captureStdio !== false) {
      this.#kept[stream].push(text);
      this.#kept.output.push(text);
    }
    await (stream === "stdout" ? onStdout : onStderr)?.(text);
  }

  /** The kept output so far. */
  get texts(): Record<OutputStream | "output", string> & { truncated: boolean } {
    const { stdout, stderr, output } = this.#kept;
    return {
      stdout: stdout.join(""),
      stderr: stderr.join(""),
      output: output.join(""),
      truncated: this.truncated,
    };
  }
}

/** Keeps a byte order mark, as `exec` does. */
function newDecoder() {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}
