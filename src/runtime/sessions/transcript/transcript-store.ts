import { z } from "zod";
import { AgentVmError } from "../../../api/errors.ts";
import type { SessionEvent } from "../../../api/methods/session-event.ts";
import { pageKey, pagePrefix, pieceKey, piecePrefix, positionKey } from "../../store/keys.ts";
import { cutValue, decodeJson, encodeJson, listAll, putAll, rangeOf, type Store } from "../../store/store.ts";

/** Bytes of one piece of a large event, and of a full page of events. */
const PIECE_BYTES = 100 * 1024;

/** One event of a session. */
export interface TranscriptEvent {
  seq: number;
  createdAt: number;
  notification: SessionEvent;
}

/** Range of a transcript: it has the sequence numbers from `first` up to, but not including, `next`. */
export interface Position {
  first: number;
  next: number;
  /** Bytes of the events in the store. Every piece counts as a full one. */
  bytes: number;
}

const positionSchema = z.object({
  first: z.int().nonnegative(),
  next: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
});

/** Pages that are read in one step. */
const PAGES_AT_ONCE = 16;

/** An event and its notification as JSON text. */
export interface StoredEvent extends TranscriptEvent {
  text: string;
}

/**
 * The events of one session in the store. One put writes a page of events and the position after it, so a crash leaves
 * a prefix of the appended events.
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

  /** Appends events. Their numbers must start at `position.next`. @returns the position after them */
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

  /** Reads the events whose number is above `since`, oldest first. The caller may stop at any time. */
  async *after(since: number): AsyncGenerator<TranscriptEvent> {
    for await (const [, value] of this.#pages(since)) {
      for await (const event of this.#events(value)) if (event.seq > since) yield event;
    }
  }

  /**
   * Deletes the oldest events: all below the number `before`, and more until at most `maxBytes` are left.
   *
   * @returns the position of the remaining events
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

  /** Pages with numbers above `since`, each with its last number. */
  async *#pages(since: number): AsyncGenerator<[last: number, value: Uint8Array]> {
    const prefix = pagePrefix(this.#sessionId);
    const after = since < 0 ? undefined : pageKey(this.#sessionId, since);
    for await (const [key, value] of listAll(this.#store, prefix, { after, limit: PAGES_AT_ONCE })) {
      yield [Number(key.slice(prefix.length)), value];
    }
  }

  /** Deletes everything after the position. A failed put may have left pages or pieces there. */
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

  /** @returns the number of pieces */
  async #putPieces({ seq, text }: StoredEvent): Promise<number> {
    const bytes = Buffer.from(text, "utf8");
    const entries = cutValue(bytes, PIECE_BYTES, (piece) => pieceKey(this.#sessionId, seq, piece));
    await putAll(this.#store, entries);
    return entries.length;
  }

  async *#events(value: Uint8Array): AsyncGenerator<TranscriptEvent> {
    for (const { seq, createdAt, content } of Page.read(value)) {
      const text = typeof content === "string" ? content : await this.#join(seq, content);
      yield { seq, createdAt, notification: JSON.parse(text) as SessionEvent };
    }
  }

  async #join(seq: number, count: number): Promise<string> {
    const keys = Array.from({ length: count }, (_, piece) => pieceKey(this.#sessionId, seq, piece));
    const pieces = await this.#store.get(keys);
    if (pieces.includes(undefined)) {
      throw new AgentVmError("storage_damaged", `Event ${seq} of session ${this.#sessionId} is lost`, {
        hint: "Read the events after it with `since`.",
      });
    }
    return Buffer.concat(pieces as Uint8Array[]).toString("utf8");
  }
}

/**
 * A page has two lines for each event. The first has its number, its time and its number of pieces. The second has its
 * text, which is JSON without line breaks, or nothing if the text is in pieces.
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

  /** Bytes of a page and of the pieces of its events. */
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
