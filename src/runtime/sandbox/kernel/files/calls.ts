import * as fs from "node:fs";
import * as pool from "node:fs/promises";
import { promisify } from "node:util";
import { vmStopped } from "../../../../api/errors.ts";
import { Mutex } from "../../../../base/mutex.ts";
import { codeOf } from "../../posix.ts";
import { PoolPlace } from "../pool-place.ts";

type Path = string | Buffer;

const open: (path: Path, flags: number, mode?: number) => Promise<number> = promisify(fs.open);
const write = promisify(fs.write);
const writeInPool = async (fd: number, data: Uint8Array, position: number) =>
  (await write(fd, data, 0, data.length, position)).bytesWritten;

/** Entries that one system call returns. Reading 256 takes 0.1 ms. */
export const BATCH_ENTRIES = 256;

/**
 * System calls on a VM's files that wait for the lock of an inode: changes of a file or directory, listings, and each look at a name,
 * which takes the lock of the directory if the name is gone. Programs of the VM can hold such a lock for seconds. So the calls run
 * in a thread of the pool, and in the event loop's thread only if no program can hold a lock, because that takes a fifth of the time. Each
 * method returns a result, or a promise of it.
 *
 * Other calls wait for no lock: fstat(2), close(2), reads, and opens by a descriptor or of `..`.
 */
export class FileCalls {
  readonly #isQuiet: () => boolean;
  readonly #place: PoolPlace;
  readonly #ending = new AbortController();
  /** Files that are removed after the end. One thread of the pool does it. */
  readonly #discards = new Mutex();

  /**
   * @param isQuiet whether no program runs that may hold a lock. @default programs may run
   * @param place of the VM in the pool
   */
  constructor(isQuiet: () => boolean = () => false, place = new PoolPlace()) {
    this.#isQuiet = isQuiet;
    this.#place = place;
  }

  /** Fails calls that wait for a place in the pool, and later ones, with `vm_stopped`. Calls that have begun go on. */
  end(): void {
    this.#ending.abort(vmStopped());
  }

  readonly open = this.#either(fs.openSync, open);
  readonly lstat = this.#either(
    (path: Path): fs.Stats => fs.lstatSync(path),
    (path) => pool.lstat(path),
  );
  /** @returns `undefined` if nothing has the name */
  readonly find = this.#either(
    (path: Path): fs.Stats | undefined => fs.lstatSync(path, { throwIfNoEntry: false }),
    (path) => pool.lstat(path).catch(undefinedIfGone),
  );
  /** Reads the text of a link, as latin1. */
  readonly readlink = this.#either(
    (path: Path) => fs.readlinkSync(path, "latin1"),
    (path) => pool.readlink(path, "latin1"),
  );
  /** Reads the next entries of a directory. @returns BATCH_ENTRIES of them, or fewer at its end */
  readonly entries = this.#either(
    (directory: fs.Dir) => {
      const entries: fs.Dirent[] = [];
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync())
        if (entries.push(entry) === BATCH_ENTRIES) break;
      return entries;
    },
    async (directory) => {
      const entries: fs.Dirent[] = [];
      for (let entry = await directory.read(); entry !== null; entry = await directory.read())
        if (entries.push(entry) === BATCH_ENTRIES) break;
      return entries;
    },
  );
  readonly mkdir = this.#either(
    (path: Path, mode: number) => void fs.mkdirSync(path, mode),
    async (path, mode) => void (await pool.mkdir(path, mode)),
  );
  readonly symlink = this.#either((target: Path, path: Path) => fs.symlinkSync(target, path), pool.symlink);
  readonly link = this.#either(fs.linkSync, pool.link);
  readonly rename = this.#either(fs.renameSync, pool.rename);
  readonly unlink = this.#either(fs.unlinkSync, pool.unlink);
  readonly rmdir = this.#either((path: Path) => fs.rmdirSync(path), pool.rmdir);
  readonly chmod = this.#either(fs.chmodSync, pool.chmod);
  readonly chown = this.#either(fs.chownSync, pool.chown);
  readonly utimes = this.#either(fs.utimesSync, pool.utimes);
  readonly fchmod = this.#either(fs.fchmodSync, promisify(fs.fchmod));
  readonly fchown = this.#either(fs.fchownSync, promisify(fs.fchown));
  readonly futimes = this.#either(fs.futimesSync, promisify(fs.futimes));
  readonly ftruncate = this.#either(fs.ftruncateSync, promisify(fs.ftruncate));
  /** @returns the bytes that were written: fewer than all if the file system is full */
  readonly write = this.#either(
    (fd: number, data: Uint8Array, position: number) => fs.writeSync(fd, data, 0, data.length, position),
    writeInPool,
  );
  /** Writes more bytes than the event loop shall wait for. */
  readonly writeMany = this.#either(writeInPool, writeInPool);

  /**
   * Removes a temporary file, which may lie in a folder of the host, also after `end`: no program of the VM holds a lock then, and the
   * work of other VMs must not keep its end waiting.
   */
  async discard(path: Path): Promise<void> {
    try {
      await this.unlink(path);
    } catch (error) {
      if (!this.#ending.signal.aborted) throw error;
      await this.#discards.run(() => pool.unlink(path));
    }
  }

  #either<Args extends unknown[], Result>(
    now: (...args: Args) => Result | Promise<Result>,
    inPool: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Result | Promise<Result> {
    return (...args) =>
      this.#isQuiet() ? now(...args) : this.#place.run(() => inPool(...args), this.#ending.signal);
  }
}

function undefinedIfGone(error: unknown): undefined {
  if (codeOf(error) !== "ENOENT") throw error;
}
