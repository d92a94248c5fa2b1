import * as fs from "node:fs";
import { temporaryName } from "../../names.ts";
import type { Owner } from "../../own-uids.ts";
import { asPosixError, type Call, codeOf, posixError } from "../../posix.ts";
import type { FileCalls } from "./calls.ts";
import { at, unname } from "./descriptors.ts";
import { assertRegularFile } from "./open.ts";
import type { Place } from "./place.ts";
import { SYNC_BYTES } from "./reader.ts";
import type { Root } from "./root.ts";

const NEW_FILE_MODE = 0o644;

/** Mode bits that survive a write. Like write(2), a write clears set-user-id and set-group-id. */
const KEPT_MODE = 0o1777;

const CREATE = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;

/** A temporary file in the directory of the file that it will replace. `putInPlace` makes the change visible. */
export class Replacement {
  readonly fd: number;
  readonly #calls: FileCalls;
  /** Its names, before and after `putInPlace`. */
  readonly #temporary: string | Buffer;
  readonly #target: string | Buffer;
  readonly #directory: number;
  /** Owner of the old file, or of a new file. `null`: the kernel sets the owner. */
  readonly #owner: Owner | null;
  readonly #mode: number;
  readonly #call: Call;
  #isPlaced = false;

  /** @param files descriptors of the directory and of the temporary file */
  private constructor(
    root: Root,
    place: Place,
    call: Call,
    files: { directory: number; temporary: string | Buffer; fd: number },
  ) {
    const old = place.entry?.stats;
    this.#calls = root.calls;
    this.#mode = old === undefined ? NEW_FILE_MODE : old.mode & KEPT_MODE;
    this.#owner = root.owner === null ? null : (old ?? root.owner);
    this.#call = call;
    this.#directory = files.directory;
    this.#temporary = files.temporary;
    this.#target = at(files.directory, place.writable(call).name);
    this.fd = files.fd;
  }

  /** Creates the temporary file. Throws if the file at the place cannot be written. */
  static async make(root: Root, place: Place, call: Call): Promise<Replacement> {
    if (place.nameless || place.slash || place.entry?.stats.isDirectory()) throw posixError("EISDIR", call);
    const directory = place.keepDirectory(call);
    try {
      if (place.entry !== null) {
        assertRegularFile(place.entry.stats, call);
        root.assertWritable(place.entry, call);
      }
      const temporary = at(directory, temporaryName());
      const fd = await root.calls.open(temporary, CREATE, 0o600);
      return new Replacement(root, place, call, { directory, temporary, fd });
    } catch (error) {
      fs.closeSync(directory);
      throw error;
    }
  }

  /** Writes a piece. @returns the bytes that were written: fewer than all if the file system is full */
  async write(offset: number, piece: Uint8Array): Promise<number> {
    const write = piece.length > SYNC_BYTES ? this.#calls.writeMany : this.#calls.write;
    try {
      return await write(this.fd, piece, offset);
    } catch (error) {
      throw asPosixError(error, { ...this.#call, syscall: "write" });
    }
  }

  /** Waits until another thread has freed a large file that had the name. */
  async putInPlaceOfLarge(): Promise<void> {
    await unname(this.#calls, this.#target, () => this.putInPlace());
  }

  /** Sets owner and mode of the file, then gives it its name. */
  async putInPlace(): Promise<void> {
    if (this.#owner !== null) await this.#calls.fchown(this.fd, this.#owner.uid, this.#owner.gid);
    await this.#calls.fchmod(this.fd, this.#mode);
    await this.#calls.rename(this.#temporary, this.#target);
    this.#isPlaced = true;
  }

  /**
   * Removes the temporary file unless it is in place. Ignores system errors: a process of the VM may have removed the
   * file already. If it has made the directory read-only, the file stays, and no listing shows it.
   */
  async discard(): Promise<void> {
    if (this.#isPlaced) return;
    try {
      await this.#calls.discard(this.#temporary);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  /** Closes the directory. The caller closes `fd`. */
  release(): void {
    fs.closeSync(this.#directory);
  }
}

/** Writes a small file. */
export async function replaceSmall(root: Root, place: Place, call: Call, data: Uint8Array): Promise<void> {
  const replacement = await Replacement.make(root, place, call);
  try {
    for (let done = 0; done < data.length; ) done += await replacement.write(done, data.subarray(done));
    await replacement.putInPlace();
  } finally {
    await replacement.discard();
    fs.closeSync(replacement.fd);
    replacement.release();
  }
}
