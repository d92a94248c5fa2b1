import type { PipeReader } from "../commands/pipe-reader.ts";
import { MAX_LEFT_PIPES } from "../limits.ts";

/**
 * Output pipes of ended commands that processes of the VM still hold. The server keeps reading them, so that a
 * background child neither blocks nor dies of SIGPIPE. But commands can pass any number of pipes to a daemon
 * (SCM_RIGHTS), and each costs the server a descriptor. So the server closes the oldest above MAX_LEFT_PIPES.
 */
export class LeftPipes {
  readonly #readers = new Set<PipeReader>();

  add(reader: PipeReader): void {
    if (reader.ended) return;
    reader.discard();
    this.#readers.add(reader);
    reader.onEnd(() => this.#readers.delete(reader));
    const [oldest] = this.#readers;
    if (this.#readers.size > MAX_LEFT_PIPES) oldest?.close();
  }

  close(): void {
    for (const reader of this.#readers) reader.close();
  }
}
