import { z } from "zod";
import { AgentVmError } from "../../api/errors.ts";
import type { JsonRpcNotification } from "../../api/types.ts";
import {
  batches,
  decodeJson,
  encodeJson,
  entryBytes,
  listAll,
  rangeOf,
  type Store,
  type StoreEntry,
} from "../store.ts";
import { pageKey, pagePrefix, pieceKey, piecePrefix, positionKey } from "./keys.ts";

/** A value is cut into pieces above this, and a page of events is full at it, in bytes. */
const PIECE_BYTES = 100 * 1024;

/** One event of a session. */
export interface SessionEvent {
  seq: number;
  createdAt: number;
  notification: JsonRpcNotification;
}

/** How far a transcript goes: numbers from `first` on and before `next` are there. */
export interface Position {
  first: number;
  next: number;
  /** What they take in the store, pieces counted as whole ones. */
  bytes: number;
}

const positionSchema = z.object({
  first: z.int().nonnegative(),
  next: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
});

/** Pages that are read in one step. */
const PAGES_AT_ONCE = 16;

/** An event with its text, written once for storage however it is cut. */
export interface StoredEvent extends SessionEvent {
  text: string;
}

/**
 * The events of one session in the store. One put has a page of events and the position after it: what a crash leaves is
 * a prefix of what was appended.
 */
export class TranscriptStore {
  readonly #store: Store;
  readonly #sessionId: string;

  constructor(store: Store, sessionId: string) {
    this.#store = store;
    this.#sessionId = sessionId;
  }

  async position(): Promise<Position> {
    const [value] = await this.#store.get([positionKey(this.#sessionId)]);
    if (value === undefined) return { first: 0, next: 0, bytes: 0 };
    return positionSchema.parse(decodeJson(value));
  }

  /** Appends events whose numbers go on from the position. @returns the position after them */
  async append(events: readonly StoredEvent[], position: Position): Promise<Position> {
    let after = position;
    let page = new Page();
    for (const event of events) {
      const size = Buffer.byteLength(event.text);
      if (page.bytes > 0 && page.bytes + size > PIECE_BYTES) {
        after = await this.#put(page, after);
        page = new Page();
      }
      if (size <= PIECE_BYTES) page.add(event, event.text, size);
      else page.add(event, await this.#putPieces(event));
    }
    return page.bytes > 0 ? await this.#put(page, after) : after;
  }

  /** Events after a number, the oldest first; as many as the caller takes. */
  async *after(since: number): AsyncGenerator<SessionEvent> {
    for await (const [, value] of this.#pages(since)) {
      for await (const event of this.#events(value)) if (event.seq > since) yield event;
    }
  }

  /**
   * Forgets the oldest events: those before a number, and as many more as bring the rest below so many bytes.
   *
   * @returns the position that is left.
   */
  async drop(position: Position, before: number, maxBytes: number): Promise<Position> {
    let { first, bytes } = position;
    for await (const [last, page] of this.#pages(first - 1)) {
      if (last >= before && bytes <= maxBytes) break;
      first = last + 1;
      bytes -= Page.size(page);
    }
    const left = { first: Math.max(first, before), next: position.next, bytes: Math.max(bytes, 0) };
    await this.#store.put([[positionKey(this.#sessionId), encodeJson(left)]]);
    const { from } = rangeOf(pagePrefix(this.#sessionId));
    await this.#store.deleteRange(from, pageKey(this.#sessionId, left.first));
    const pieces = rangeOf(piecePrefix(this.#sessionId));
    await this.#store.deleteRange(pieces.from, pieceKey(this.#sessionId, left.first, 0));
    return left;
  }

  /** The pages that have numbers above one, each with its last number. */
  async *#pages(since: number): AsyncGenerator<[last: number, value: Uint8Array]> {
    const prefix = pagePrefix(this.#sessionId);
    const after = since < 0 ? undefined : pageKey(this.#sessionId, since);
    for await (const [key, value] of listAll(this.#store, prefix, { after, limit: PAGES_AT_ONCE })) {
      yield [Number(key.slice(prefix.length)), value];
    }
  }

  /** Forgets what a put that failed may have left behind the position. */
  async cutAt({ next }: Position): Promise<void> {
    const pages = rangeOf(pagePrefix(this.#sessionId));
    await this.#store.deleteRange(pageKey(this.#sessionId, next), pages.to);
    const pieces = rangeOf(piecePrefix(this.#sessionId));
    await this.#store.deleteRange(pieceKey(this.#sessionId, next, 0), pieces.to);
  }

  async delete(): Promise<void> {
    await this.#store.delete([positionKey(this.#sessionId)]);
    for (const prefix of [pagePrefix(this.#sessionId), piecePrefix(this.#sessionId)]) {
      const { from, to } = rangeOf(prefix);
      await this.#store.deleteRange(from, to);
    }
  }

  async #put(page: Page, { first, bytes }: Position): Promise<Position> {
    const value = Buffer.from(page.text, "utf8");
    const after = { first, next: page.last + 1, bytes: bytes + Page.size(value) };
    await this.#store.put([
      [pageKey(this.#sessionId, page.last), value],
      [positionKey(this.#sessionId), encodeJson(after)],
    ]);
    return after;
  }

  /** @returns how many there are. */
  async #putPieces({ seq, text }: StoredEvent): Promise<number> {
    const bytes = Buffer.from(text, "utf8");
    const entries: StoreEntry[] = [];
    for (let from = 0; from < bytes.byteLength; from += PIECE_BYTES) {
      const piece = bytes.subarray(from, from + PIECE_BYTES);
      entries.push([pieceKey(this.#sessionId, seq, entries.length), piece]);
    }
    for (const batch of batches(entries, entryBytes)) await this.#store.put(batch);
    return entries.length;
  }

  async *#events(value: Uint8Array): AsyncGenerator<SessionEvent> {
    for (const { seq, createdAt, content } of Page.read(value)) {
      const text = typeof content === "string" ? content : await this.#join(seq, content);
      yield { seq, createdAt, notification: JSON.parse(text) as JsonRpcNotification };
    }
  }

  async #join(seq: number, count: number): Promise<string> {
    const keys = Array.from({ length: count }, (_, piece) => pieceKey(this.#sessionId, seq, piece));
    const pieces = await this.#store.get(keys);
    if (pieces.includes(undefined)) {
      throw new AgentVmError("storage_damaged", `Event ${seq} of session ${this.#sessionId} is lost`, {
        hint: "Ask for events after it, with `since`.",
      });
    }
    return Buffer.concat(pieces as Uint8Array[]).toString("utf8");
  }
}

/**
 * Events on two lines each: number, time and pieces, then the text, which is JSON and has no line breaks. Where it was cut
 * into pieces, there are some of them and no text.
 */
class Page {
  text = "";
  bytes = 0;
  last = -1;

  add({ seq, createdAt }: StoredEvent, content: string | number, size = 0): void {
    const [text, pieces] = typeof content === "string" ? [content, 0] : ["", content];
    const head = `${seq} ${createdAt} ${pieces}`;
    this.text += `${head}\n${text}\n`;
    this.bytes += head.length + size + 2;
    this.last = seq;
  }

  /** What a page and the pieces of its events take, in bytes. */
  static size(value: Uint8Array): number {
    let pieces = 0;
    for (const { content } of Page.read(value)) if (typeof content === "number") pieces += content;
    return value.byteLength + pieces * PIECE_BYTES;
  }

  static *read(value: Uint8Array): Generator<{ seq: number; createdAt: number; content: string | number }> {
    const lines = Buffer.from(value).toString("utf8").split("\n");
    for (let at = 0; at + 1 < lines.length; at += 2) {
      const [seq, createdAt, pieces] = lines[at]!.split(" ").map(Number) as [number, number, number];
      yield { seq, createdAt, content: pieces > 0 ? pieces : lines[at + 1]! };
    }
  }
}
