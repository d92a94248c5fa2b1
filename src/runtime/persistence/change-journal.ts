import { isPosixCode } from "../../api/error-codes.ts";
import { AgentVmError } from "../../api/errors.ts";
import { GroupWriter } from "../../base/group-writer.ts";
import type { TreeChange } from "../filesystem/file-changes.ts";
import type { Files } from "../filesystem/files.ts";
import { numberIn, prefixOf } from "../store/keys.ts";
import {
  countInBatch,
  decodeJson,
  encodeJson,
  entryBytes,
  listAll,
  MAX_STORE_BATCH_BYTES,
  type Store,
  type StoreEntry,
} from "../store/store.ts";
import { CHECKSUM_BYTES, checksum, partsOf } from "./codec.ts";

/** A record is one batch of the store, so that it is stored whole or not at all. */
const MAX_RECORD_BYTES = MAX_STORE_BATCH_BYTES - 8 * 1024;
const LENGTH_BYTES = 4;

/** Records that are read at a time. */
const LIST_LIMIT = 64;

/** Stores the changes since the last checkpoint, in order. Changes that arrive together are stored together. */
export class ChangeJournal {
  readonly #store: Store;
  #next: number;
  readonly #writer: GroupWriter<readonly StoreEntry[]>;
  /** Bytes stored since the last checkpoint. */
  #bytes = 0;

  /** @param next number of the next record */
  constructor(store: Store, next: number) {
    this.#store = store;
    this.#next = next;
    this.#writer = new GroupWriter({
      write: (group) => this.#put(group.flat()),
      count: (waiting) => countInBatch(waiting.map((entries) => ({ entries }))),
      // Each record depends on those before it.
      onLost: () => undefined,
    });
  }

  get next(): number {
    return this.#next;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a change fits into a record. */
  static takes(change: TreeChange): boolean {
    return change.action !== "write" || change.content.length + change.path.length * 3 < MAX_RECORD_BYTES;
  }

  /** Records a change. Its number is taken at once. Resolves when the record is durable. */
  append(change: TreeChange): Promise<void> {
    return this.#writer.add(partsOf("journal", this.#next++, encodeChange(change)));
  }

  /** Takes the number of a change that is not recorded. @returns the number */
  skip(): number {
    return this.#next++;
  }

  /** Starts to count bytes again, after a checkpoint. */
  restart(): void {
    this.#bytes = 0;
  }

  async #put(entries: readonly StoreEntry[]): Promise<void> {
    await this.#store.put(entries);
    for (const entry of entries) this.#bytes += entryBytes(entry);
  }
}

export async function isJournalEmpty(store: Store): Promise<boolean> {
  return (await store.list(prefixOf("journal"), { limit: 1 })).length === 0;
}

/** Reads the recorded changes with their numbers. Yields `undefined` for a corrupt record. */
export async function* readJournal(store: Store): AsyncGenerator<[number, TreeChange | undefined]> {
  let parts: Uint8Array[] = [];
  let current: number | undefined;
  for await (const [key, value] of listAll(store, prefixOf("journal"), { limit: LIST_LIMIT })) {
    const number = numberIn("journal", key);
    if (current !== undefined && number !== current) {
      yield [current, decodeChange(Buffer.concat(parts))];
      parts = [];
    }
    current = number;
    parts.push(value);
  }
  if (current !== undefined) yield [current, decodeChange(Buffer.concat(parts))];
}

/** A record: a checksum of the rest, the length of the JSON, the change as JSON, and its content. */
function encodeChange(change: TreeChange): Uint8Array {
  const { content = new Uint8Array(), ...rest } = change as TreeChange & { content?: Uint8Array };
  const head = encodeJson(rest);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(head.length);
  const record = Buffer.concat([length, head, content]);
  return Buffer.concat([checksum(record), record]);
}

function decodeChange(bytes: Buffer): TreeChange | undefined {
  const record = bytes.subarray(CHECKSUM_BYTES);
  if (!checksum(record).equals(bytes.subarray(0, CHECKSUM_BYTES))) return undefined;
  const end = LENGTH_BYTES + record.readUInt32BE(0);
  const change = decodeJson(record.subarray(LENGTH_BYTES, end)) as TreeChange;
  return change.action === "write" ? { ...change, content: record.subarray(end) } : change;
}

/** Repeats a change. It has no effect if the checkpoint has it already, or if the files that it needs are gone. */
export async function replay(change: TreeChange, files: Files): Promise<void> {
  try {
    switch (change.action) {
      case "write":
        return await files.writeFile(change.path, change.content);
      case "mkdir":
        // A process may have made the parent directory.
        return await files.mkdir(change.path, { recursive: true });
      case "move":
        return await files.move(change.from, change.to);
      case "delete":
        // A process may have emptied the directory.
        return await files.delete(change.path, { recursive: true });
    }
  } catch (error) {
    // The journal lacks changes by processes, so the files that the change needs may be gone.
    if (!(error instanceof AgentVmError) || !isPosixCode(error.code)) throw error;
  }
}
