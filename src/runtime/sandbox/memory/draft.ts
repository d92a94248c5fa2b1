import type { FileReader, FileWriter } from "../files.ts";
import { pause } from "../pace.ts";
import { type Call, posixError, readOnlyPath } from "../posix.ts";
import { Content } from "./content.ts";
import type { Place, Slot } from "./place.ts";
import type { Quota } from "./quota.ts";
import type { Tree } from "./tree.ts";

const NEW_FILE_MODE = 0o644;

/** Set-user-id and set-group-id do not survive a write, as with write(2). */
const KEPT_MODE = 0o1777;

/** Bytes copied before the event loop may turn. */
const PIECE_BYTES = 1024 * 1024;

/** A file's bytes before they are in place. They count against the limits from the start. */
export class MemoryDraft implements FileWriter {
  readonly #tree: Tree;
  readonly #quota: Quota;
  readonly #slot: Slot;
  readonly #mode: number;
  readonly #call: Call;
  readonly #content = new Content();
  #open = true;

  constructor(tree: Tree, quota: Quota, place: Place, call: Call) {
    if (place.nameless || place.slash || place.link?.node.isDirectory()) throw posixError("EISDIR", call);
    this.#tree = tree;
    this.#quota = quota;
    this.#slot = place.writable(call);
    if (place.link !== null && tree.isForeign(place.link)) throw readOnlyPath(call.path);
    this.#mode = place.link === null ? NEW_FILE_MODE : place.link.node.perm & KEPT_MODE;
    this.#call = call;
    quota.takeInode(call);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    const call = { ...this.#call, syscall: "write" };
    for (let done = 0; done < data.length; done += PIECE_BYTES) {
      await pause();
      if (!this.#open) throw posixError("EBADF", call);
      const piece = data.subarray(done, done + PIECE_BYTES);
      const size = Math.max(this.#content.size, offset + done + piece.length);
      this.#quota.grow(this.#content.size, size, call);
      this.#content.write(offset + done, piece);
    }
  }

  async commit(): Promise<void> {
    if (!this.#open) throw posixError("EBADF", this.#call);
    const { directory, name } = this.#slot;
    try {
      if (this.#tree.wasRemoved(directory)) throw posixError("ENOENT", this.#call);
      if (directory.getChild(name)?.node.isDirectory()) throw posixError("EISDIR", this.#call);
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#open = false;
    this.#tree.placeFile(directory, name, this.#content, this.#mode);
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#quota.release(this.#content.size);
  }
}

/** The bytes that a file had when it was opened: a replacement has bytes of its own. */
export class MemoryReader implements FileReader {
  readonly size: number;
  readonly #content: Content;
  readonly #call: Call;
  #open = true;

  constructor(content: Content, call: Call) {
    this.#content = content;
    this.#call = call;
    this.size = content.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const target = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    for (let done = 0; done < target.length; done += PIECE_BYTES) {
      await pause();
      if (!this.#open) throw posixError("EBADF", this.#call);
      this.#content.read(offset + done, target.subarray(done, done + PIECE_BYTES));
    }
    return target;
  }

  async close(): Promise<void> {
    this.#open = false;
  }
}
