import * as fs from "node:fs";
import { temporaryName } from "../../names.ts";
import type { Owner } from "../../own-uids.ts";
import { asPosixError, type Call, codeOf, posixError } from "../../posix.ts";
import { at } from "./descriptors.ts";
import { assertRegularFile } from "./open.ts";
import type { Place } from "./place.ts";
import type { Root } from "./root.ts";

const NEW_FILE_MODE = 0o644;

/** Mode bits that survive a write. Like write(2), a write clears set-user-id and set-group-id. */
const KEPT_MODE = 0o1777;

const CREATE = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW;

/** A temporary file in the directory of the file that it will replace. `putInPlace` makes the change visible. */
export class Replacement {
  readonly fd: number;
  readonly #directory: number;
  readonly #name: string;
  readonly #temporary = temporaryName();
  /** Owner of the old file, or of a new file. `null`: the kernel sets the owner. */
  readonly #owner: Owner | null;
  readonly #mode: number;
  readonly #call: Call;
  #isPlaced = false;

  /** Creates the temporary file. Throws if the file at the place cannot be written. */
  constructor(root: Root, place: Place, call: Call) {
    if (place.nameless || place.slash || place.entry?.stats.isDirectory()) throw posixError("EISDIR", call);
    this.#name = place.writable(call).name;
    const old = place.entry?.stats;
    if (old !== undefined) assertRegularFile(old, call);
    if (place.entry !== null) root.assertWritable(place.entry, call);
    this.#mode = old === undefined ? NEW_FILE_MODE : old.mode & KEPT_MODE;
    this.#owner = root.owner === null ? null : (old ?? root.owner);
    this.#call = call;
    this.#directory = place.keepDirectory(call);
    try {
      this.fd = fs.openSync(at(this.#directory, this.#temporary), CREATE, 0o600);
    } catch (error) {
      fs.closeSync(this.#directory);
      throw error;
    }
  }

  /** Writes in this turn of the event loop. */
  write(offset: number, data: Uint8Array): void {
    try {
      for (let done = 0; done < data.length; )
        done += fs.writeSync(this.fd, data, done, data.length - done, offset + done);
    } catch (error) {
      throw asPosixError(error, { ...this.#call, syscall: "write" });
    }
  }

  /** The path that `putInPlace` gives to the file. */
  get path(): string | Buffer {
    return at(this.#directory, this.#name);
  }

  /** Sets owner and mode of the file, then gives it its name. */
  putInPlace(): void {
    if (this.#owner !== null) fs.fchownSync(this.fd, this.#owner.uid, this.#owner.gid);
    fs.fchmodSync(this.fd, this.#mode);
    fs.renameSync(at(this.#directory, this.#temporary), this.path);
    this.#isPlaced = true;
  }

  /**
   * Removes the temporary file unless it is in place. Ignores system errors: a process of the VM may have removed the
   * file already. If it has made the directory read-only, the file stays, and no listing shows it.
   */
  discard(): void {
    if (this.#isPlaced) return;
    try {
      fs.unlinkSync(at(this.#directory, this.#temporary));
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  /** Closes the directory. The caller closes `fd`. */
  release(): void {
    fs.closeSync(this.#directory);
  }
}

/** Writes a small file in this turn of the event loop. */
export function replaceNow(root: Root, place: Place, call: Call, data: Uint8Array): void {
  const replacement = new Replacement(root, place, call);
  try {
    replacement.write(0, data);
    replacement.putInPlace();
  } finally {
    replacement.discard();
    fs.closeSync(replacement.fd);
    replacement.release();
  }
}
