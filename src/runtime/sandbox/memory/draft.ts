import { pause } from "../../../base/pace.ts";
import type { FileReader, FileWriter } from "../files.ts";
import { type Call, posixError } from "../posix.ts";
import { Content } from "./content.ts";
import type { Place, Slot } from "./place.ts";
import type { Quota } from "./quota.ts";
import type { Tree } from "./tree.ts";

const NEW_FILE_MODE = 0o644;

/** Mode bits that survive a write. Like write(2), a write clears set-user-id and set-group-id. */
const KEPT_MODE = 0o1777;

/** Bytes that are copied between two pauses. */
const PIECE_BYTES = 1024 * 1024;

/** New content of a file that is not in place yet. It counts against the VM's limits. */
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
    if (place.link !== null) tree.assertOwn(place.link, call.path);
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

/** Reads the content that a file had when it was opened. A later replacement does not change it. */
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

  async fill(target: Uint8Array, offset: number): Promise<number> {
    const piece = await this.read(offset, target.length);
    target.set(piece);
    return piece.length;
  }

  version(): string {
    return "";
  }

  async close(): Promise<void> {
    this.#open = false;
  }
}
