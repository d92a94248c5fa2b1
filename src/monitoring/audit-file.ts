import { appendFileSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { MIB } from "../api/units.ts";

/**
 * Lines of the audit that wait for a slow disk.
 * @unit bytes
 * @past Further lines are lost. The server logs how many.
 */
const MAX_WAITING_BYTES = 16 * MIB;

/** Appends lines to a file. Another program may move the file away at any time: the next line makes it again. */
export class AuditFile {
  readonly #path: string;
  readonly #onFailure: (error: unknown) => void;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #file: FileHandle | undefined;
  #writing = false;

  constructor(path: string, onFailure: (error: unknown) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
    // The server may exit before the last lines are on their way.
    process.once("exit", () => this.#writeRest());
  }

  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.#lost += 1;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    if (!this.#writing) void this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const count = this.#waiting.length;
      const text = this.#waiting.join("");
      let reason = `${this.#path} was too slow`;
      try {
        const file = await this.#open();
        await file.appendFile(text);
      } catch (error) {
        this.#lost += count;
        reason = (error as Error).message;
      }
      // Taken out after they are written: an exit meanwhile repeats lines, but loses none.
      for (const line of this.#waiting.splice(0, count)) this.#waitingBytes -= Buffer.byteLength(line);
      if (this.#lost > 0) this.#onFailure(new Error(`${this.#lost} lines of the audit are lost: ${reason}`));
      this.#lost = 0;
    }
    this.#writing = false;
  }

  /** Returns the file that the path names now. */
  async #open(): Promise<FileHandle> {
    const [named, held] = await Promise.all([stat(this.#path).catch(() => undefined), this.#file?.stat()]);
    if (this.#file !== undefined && named !== undefined && named.ino === held?.ino && named.dev === held.dev)
      return this.#file;
    const old = this.#file;
    this.#file = undefined;
    await old?.close();
    this.#file = await open(this.#path, "a", 0o600);
    return this.#file;
  }

  #writeRest(): void {
    if (this.#waiting.length === 0) return;
    try {
      appendFileSync(this.#path, this.#waiting.join(""), { mode: 0o600 });
    } catch {
      // The process ends, and the log may be on the same full disk.
    }
  }
}
