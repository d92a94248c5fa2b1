import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { asPosixError, type Call, codeOf, posixError, readOnlyPath } from "../../posix.ts";
import { temporaryName } from "../../temporary.ts";
import { at } from "./descriptors.ts";
import type { Owner } from "./identity.ts";
import { assertRegularFile } from "./open.ts";
import type { Place } from "./place.ts";
import type { Root } from "./root.ts";

const NEW_FILE_MODE = 0o644;

/** Set-user-id and set-group-id do not survive a write, as with write(2). */
const KEPT_MODE = 0o1777;

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A temporary file beside the one it will replace. Until it is put in place nobody sees a change. */
export class Replacement {
  readonly fd: number;
  readonly #directory: number;
  readonly #name: string;
  readonly #temporary = temporaryName();
  /** The old file's owner, or a new file's; `null` leaves it to the kernel. */
  readonly #owner: Owner | null;
  readonly #mode: number;
  readonly #call: Call;
  #isPlaced = false;

  /** Starts one for the file that the place names; throws where that cannot be written. */
  constructor(root: Root, place: Place, call: Call) {
    if (place.nameless || place.slash || place.entry?.stats.isDirectory()) throw posixError("EISDIR", call);
    this.#name = place.writable(call).name;
    const old = place.entry?.stats;
    if (old !== undefined) assertRegularFile(old, call);
    if (old !== undefined && root.isForeign(old)) throw readOnlyPath(call.path);
    this.#mode = old === undefined ? NEW_FILE_MODE : old.mode & KEPT_MODE;
    this.#owner = root.owner === null ? null : (old ?? root.owner);
    this.#call = call;
    this.#directory = place.keepDirectory(call);
    try {
      this.fd = openSync(at(this.#directory, this.#temporary), CREATE, 0o600);
    } catch (error) {
      closeSync(this.#directory);
      throw error;
    }
  }

  /** Writes without giving way to anything else. */
  write(offset: number, data: Uint8Array): void {
    try {
      for (let done = 0; done < data.length; )
        done += writeSync(this.fd, data, done, data.length - done, offset + done);
    } catch (error) {
      throw asPosixError(error, { ...this.#call, syscall: "write" });
    }
  }

  /** Gives the file its owner and mode and its name, all before anyone can see it. */
  putInPlace(): void {
    if (this.#owner !== null) fchownSync(this.fd, this.#owner.uid, this.#owner.gid);
    fchmodSync(this.fd, this.#mode);
    renameSync(at(this.#directory, this.#temporary), at(this.#directory, this.#name));
    this.#isPlaced = true;
  }

  /**
   * Removes the temporary file unless it is in place. A process of the VM may have removed it already, or shut the
   * directory: what stays then is its own garbage, which no listing shows, and no reason to fail.
   */
  discard(): void {
    if (this.#isPlaced) return;
    try {
      unlinkSync(at(this.#directory, this.#temporary));
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  /** Closes the directory; the file's own descriptor is its user's to close. */
  release(): void {
    closeSync(this.#directory);
  }
}

/** Writes a small file from beginning to end before anything else can run. */
export function replaceNow(root: Root, place: Place, call: Call, data: Uint8Array): void {
  const replacement = new Replacement(root, place, call);
  try {
    replacement.write(0, data);
    replacement.putInPlace();
  } finally {
    replacement.discard();
    closeSync(replacement.fd);
    replacement.release();
  }
}
