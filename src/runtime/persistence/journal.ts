import { AgentVmError } from "../../api/errors.ts";
import type { RecursiveOption } from "../../api/types.ts";
import {
  countInBatch,
  decodeJson,
  encodeJson,
  entryBytes,
  listAll,
  MAX_STORE_BATCH_BYTES,
  type Store,
  type StoreEntry,
} from "../store.ts";
import { CHECKSUM_BYTES, checksum, partsOf, storageDamaged } from "./codec.ts";
import { numberIn, prefixOf } from "./keys.ts";

/** A change that a file action has made and acknowledged. */
export type Change =
  | { action: "write"; path: string; content: Uint8Array }
  | { action: "mkdir"; path: string; recursive: boolean }
  | { action: "move"; from: string; to: string }
  | { action: "delete"; path: string; recursive: boolean };

/** A record is one batch of the store, so that it is there whole or not at all. */
const MAX_RECORD_BYTES = MAX_STORE_BATCH_BYTES - 8 * 1024;
const LENGTH_BYTES = 4;

/** Records that are read at a time. */
const LIST_LIMIT = 64;

interface Pending {
  entries: StoreEntry[];
  resolve(): void;
  reject(error: unknown): void;
}

/** Changes since the last checkpoint, in their order. Those that come together are put together. */
export class Journal {
  readonly #store: Store;
  #next: number;
  #pending: Pending[] = [];
  #flushing: Promise<void> | undefined;
  /** Bytes that have been put since the last checkpoint. */
  #bytes = 0;

  /** @param next number of the next record */
  constructor(store: Store, next: number) {
    this.#store = store;
    this.#next = next;
  }

  get next(): number {
    return this.#next;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a change fits; one that does not is kept by a checkpoint. */
  static takes(change: Change): boolean {
    return change.action !== "write" || change.content.length + change.path.length * 3 < MAX_RECORD_BYTES;
  }

  /** Records a change; its place in the order is taken at once. Resolves when it is durable. */
  append(change: Change): Promise<void> {
    const entries = partsOf("journal", this.#next++, encodeChange(change));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ entries, resolve, reject });
    this.#flushing ??= this.#flush();
    return promise;
  }

  /** Takes the place of a change that something else keeps. @returns its number */
  skip(): number {
    return this.#next++;
  }

  /** After a checkpoint: what came before counts no more. */
  restart(): void {
    this.#bytes = 0;
  }

  async #flush(): Promise<void> {
    // What is appended in the same turn goes with it.
    await null;
    while (this.#pending.length > 0) {
      const group = this.#pending.splice(0, countInBatch(this.#pending));
      const entries = group.flatMap((pending) => pending.entries);
      try {
        await this.#store.put(entries);
        for (const entry of entries) this.#bytes += entryBytes(entry);
        for (const { resolve } of group) resolve();
      } catch (error) {
        // Those that come after rest on it.
        for (const { reject } of [...group, ...this.#pending.splice(0)]) reject(error);
      }
    }
    this.#flushing = undefined;
  }
}

/**
 * The changes that are recorded, with their numbers.
 *
 * @throws AgentVmError `storage_damaged` at a record that is not what was written, unless those may be missing: then
 * `undefined` stands for it
 */
export async function* readJournal(
  store: Store,
  allowMissing: boolean,
): AsyncGenerator<[number, Change | undefined]> {
  let parts: Uint8Array[] = [];
  let current: number | undefined;
  for await (const [key, value] of listAll(store, prefixOf("journal"), { limit: LIST_LIMIT })) {
    const number = numberIn("journal", key);
    if (current !== undefined && number !== current) {
      yield [current, decodeChange(Buffer.concat(parts), allowMissing)];
      parts = [];
    }
    current = number;
    parts.push(value);
  }
  if (current !== undefined) yield [current, decodeChange(Buffer.concat(parts), allowMissing)];
}

/** A checksum of all that follows: a length, the change as JSON, and the bytes of its content. */
function encodeChange(change: Change): Uint8Array {
  const { content = new Uint8Array(), ...rest } = change as Change & { content?: Uint8Array };
  const head = encodeJson(rest);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(head.length);
  const record = Buffer.concat([length, head, content]);
  return Buffer.concat([checksum(record), record]);
}

function decodeChange(bytes: Buffer, allowMissing: boolean): Change | undefined {
  const record = bytes.subarray(CHECKSUM_BYTES);
  if (!checksum(record).equals(bytes.subarray(0, CHECKSUM_BYTES))) {
    if (allowMissing) return undefined;
    throw storageDamaged("a record of its journal is corrupt");
  }
  const end = LENGTH_BYTES + record.readUInt32BE(0);
  const change = decodeJson(record.subarray(LENGTH_BYTES, end)) as Change;
  return change.action === "write" ? { ...change, content: record.subarray(end) } : change;
}

/** What a change does, done again. A change that is in the checkpoint already, or whose ground is gone, does nothing. */
export async function replay(change: Change, files: ReplayTarget): Promise<void> {
  try {
    switch (change.action) {
      case "write":
        return await files.writeFile(change.path, change.content);
      case "mkdir":
        // A process may have made what it lies in.
        return await files.mkdir(change.path, { recursive: true });
      case "move":
        return await files.move(change.from, change.to);
      case "delete":
        // A process may have emptied it.
        return await files.delete(change.path, { recursive: true });
    }
  } catch (error) {
    // A POSIX error: what processes did since is not known, so the change may have lost its ground.
    if (!(error instanceof AgentVmError) || !/^E[A-Z0-9]+$/.test(error.code)) throw error;
  }
}

interface ReplayTarget {
  writeFile(path: string, content: Uint8Array): Promise<void>;
  mkdir(path: string, options: RecursiveOption): Promise<void>;
  move(from: string, to: string): Promise<void>;
  delete(path: string, options: RecursiveOption): Promise<void>;
}
