import type { BatchWriteEntry, BatchWriteResult, Bytes, RecursiveOption } from "../../api/types.ts";
import { entryError, Files, type FilesOptions } from "../filesystem/files.ts";
import type { FileSystem } from "../sandbox/files.ts";
import type { Change } from "./journal.ts";
import type { Persistence } from "./persistence.ts";

/** The file actions; what changes files answers when the change survives the server's death. */
export class DurableFiles extends Files {
  readonly #persistence: Persistence;

  constructor(fs: FileSystem, options: FilesOptions, persistence: Persistence) {
    super(fs, options);
    this.#persistence = persistence;
  }

  override async writeFile(path: string, content: Bytes): Promise<void> {
    const { durable } = await this.#write(path, content);
    await durable;
  }

  override async writeFiles(entries: BatchWriteEntry[]): Promise<BatchWriteResult[]> {
    const results: BatchWriteResult[] = [];
    const storing: Promise<void>[] = [];
    for (const [index, { path, content }] of entries.entries()) {
      try {
        const { durable } = await this.#write(path, content);
        results.push({ path, success: true });
        // Entries are stored together: waiting for each would take a disk's turn an entry.
        storing.push(
          durable.catch((error: unknown) => {
            results[index] = { path, success: false, error: entryError(error) };
          }),
        );
      } catch (error) {
        results.push({ path, success: false, error: entryError(error) });
      }
    }
    await Promise.all(storing);
    return results;
  }

  override mkdir(path: string, options: RecursiveOption = {}): Promise<void> {
    const change: Change = { action: "mkdir", path, recursive: options.recursive ?? false };
    return this.#change(change, () => super.mkdir(path, options));
  }

  override move(from: string, to: string): Promise<void> {
    return this.#change({ action: "move", from, to }, () => super.move(from, to));
  }

  override delete(path: string, options: RecursiveOption = {}): Promise<void> {
    const change: Change = { action: "delete", path, recursive: options.recursive ?? false };
    return this.#change(change, () => super.delete(path, options));
  }

  #write(path: string, content: Bytes): Promise<{ durable: Promise<void> }> {
    const bytes = typeof content === "string" ? Buffer.from(content, "utf8") : content;
    return this.#persistence.change({ action: "write", path, content: bytes }, () =>
      super.writeFile(path, bytes),
    );
  }

  async #change(change: Change, work: () => Promise<void>): Promise<void> {
    const { durable } = await this.#persistence.change(change, work);
    await durable;
  }
}
