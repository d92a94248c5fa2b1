import { MAX_LEFT_PIPES } from "../../../api/limits.ts";
import type { PipeReader } from "./start/pipe-reader.ts";

/**
 * Output pipes of ended commands that something in the VM still holds. They are read on, so that a background child
 * neither blocks nor dies of SIGPIPE. But a daemon can be handed the pipes of any number of commands (SCM_RIGHTS),
 * each a descriptor of the server's: past a number the oldest are closed.
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
