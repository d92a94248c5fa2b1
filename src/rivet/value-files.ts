import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { type FileHandle, mkdir, open, readdir, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ifThere, isTableFull } from "../base/system-errors.ts";
import { DELETIONS, diskSyncs, inTurn, syncFolder, VALUE_SYNCS } from "./disk-turns.ts";

/** A value of at least this size, which the next synced change makes durable, gets a place in a file. */
export const FILE_VALUE_BYTES = 64 * 1024;

/** Files of one database that wait for their sync. Writing waits for them. */
const MAX_SYNCING = 4;

/** Files that are open for one reading. Further files are opened when they are read. */
const MAX_OPEN = 1000;

const NAME = /^\d{1,15}$/;

/** A part of a file. */
export interface ValuePlace {
  file: number;
  start: number;
  size: number;
}

/** @returns the folder of the large values of a database */
export function valueFolder(databasePath: string): string {
  return databasePath.replace(/\.db$/, ".values");
}

/**
 * Files beside a database with its large values, a file for each change. SQLite would write such values twice, page by page, in the thread
 * of the event loop: 100 MB take 1.2 s there, and 0.07 s here.
 *
 * A file is never changed. The database names the files that count, and each other file is deleted. Callers write, settle and list one
 * at a time. Part of agent-vm's own storage of actors.
 */
export class ValueFiles {
  readonly #folder: string;
  readonly #syncing = new Set<Promise<void>>();
  /** Files whose names may not be on disk. */
  readonly #unnamed = new Set<number>();
  /** Files that are not on disk, with the reason. */
  readonly #failed = new Map<number, unknown>();
  /** Whether the folder's own name is on disk. */
  #isFolderNamed = false;
  #deleting: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Writes values into a new file, which is on disk after `settle`. @returns the place of each */
  async write(values: readonly Uint8Array[]): Promise<ValuePlace[]> {
    while (this.#syncing.size >= MAX_SYNCING) await Promise.race(this.#syncing);
    const file = randomBytes(6).readUIntBE(0, 6);
    const handle = await this.#create(file);
    this.#unnamed.add(file);
    try {
      await writeAll(handle, values);
    } catch (error) {
      // A full disk may fail this too. The first error is the one to report.
      await handle.close().catch(() => undefined);
      this.#unnamed.delete(file);
      this.delete([file]);
      throw error;
    }
    this.#sync(file, handle);
    let start = 0;
    return values.map(({ byteLength: size }) => {
      const place = { file, start, size };
      start += size;
      return place;
    });
  }

  /** Brings all files written so far to the disk. @returns files that are not there, with the reason, until `forget` */
  async settle(): Promise<ReadonlyMap<number, unknown>> {
    await Promise.all(this.#syncing);
    if (this.#unnamed.size > 0) {
      try {
        await syncFolder(this.#folder, VALUE_SYNCS);
        if (!this.#isFolderNamed) await syncFolder(dirname(this.#folder), VALUE_SYNCS);
        this.#isFolderNamed = true;
      } catch (error) {
        for (const file of this.#unnamed) this.#failed.set(file, error);
      }
      this.#unnamed.clear();
    }
    return this.#failed;
  }

  /** Forgets that files are not on disk. The database names none of them any more. */
  forget(files: Iterable<number>): void {
    for (const file of [...files]) this.#failed.delete(file);
  }

  /** Whether `settle` has nothing to do. */
  get isSettled(): boolean {
    return this.#syncing.size === 0 && this.#unnamed.size === 0 && this.#failed.size === 0;
  }

  /**
   * Reads values. Values that follow each other in a file are parts of one buffer, so that a caller can join them without a copy.
   *
   * @returns `undefined` for each value whose file is deleted or shorter
   */
  read(places: readonly ValuePlace[]): (Uint8Array | undefined)[] {
    const open = this.open(places);
    try {
      return runsOf(places).flatMap((run) => open.readAll(run));
    } finally {
      open.close();
    }
  }

  /** Opens the files of values, so that they stay readable if they are deleted. Call `close`. */
  open(places: readonly Pick<ValuePlace, "file">[]): OpenValues {
    return new OpenValues((file) => this.#pathOf(file), new Set(places.map(({ file }) => file)));
  }

  /** Deletes files soon, one after the other. A file that stays is deleted when a server opens the database for the first time. */
  delete(files: Iterable<number>): void {
    const paths = Array.from(files, (file) => this.#pathOf(file));
    this.#deleting = this.#deleting.then(async () => {
      for (const path of paths) {
        if (this.#isClosed) return;
        await inTurn(() => unlink(path), DELETIONS).catch(() => undefined);
      }
    });
  }

  /** Files of the folder. */
  async list(): Promise<number[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names.filter((name) => NAME.test(name)).map(Number);
  }

  /** Ends all work with the files. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#syncing, this.#deleting]);
  }

  async #create(file: number): Promise<FileHandle> {
    const path = this.#pathOf(file);
    try {
      return await open(path, "wx", 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    this.#isFolderNamed = false;
    await mkdir(this.#folder, { mode: 0o700 });
    return await open(path, "wx", 0o600);
  }

  #sync(file: number, handle: FileHandle): void {
    const syncing = inTurn(() => diskSyncs.data(handle.fd), VALUE_SYNCS)
      .finally(() => handle.close())
      .catch((error: unknown) => {
        this.#failed.set(file, error);
      })
      .finally(() => this.#syncing.delete(syncing));
    this.#syncing.add(syncing);
  }

  #pathOf(file: number): string {
    return join(this.#folder, String(file));
  }
}

async function writeAll(handle: FileHandle, values: readonly Uint8Array[]): Promise<void> {
  const size = values.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let { bytesWritten: done } = await handle.writev(values);
  // A disk that is nearly full takes a part. The next write says why.
  for (const whole = done < size ? Buffer.concat(values) : undefined; whole && done < size; )
    done += (await handle.write(whole, done, size - done)).bytesWritten;
}

/** Files with large values that are open. */
export class OpenValues {
  readonly #pathOf: (file: number) => string;
  /** Descriptors; `undefined` for a file that is deleted. Files past a limit are opened when they are read. */
  readonly #open = new Map<number, number | undefined>();

  constructor(pathOf: (file: number) => string, files: Iterable<number>) {
    this.#pathOf = pathOf;
    try {
      for (const file of files) {
        if (this.#open.size === MAX_OPEN) return;
        this.#open.set(
          file,
          ifThere(() => openSync(pathOf(file), "r")),
        );
      }
    } catch (error) {
      // The reading itself needs descriptors, and so do others.
      const isFull = isTableFull(error);
      this.#close(isFull ? Math.ceil(this.#open.size / 2) : this.#open.size);
      if (!isFull) throw error;
    }
  }

  /** @returns `undefined` if the file is deleted or shorter */
  read(place: ValuePlace): Uint8Array | undefined {
    return this.readAll([place])[0];
  }

  /** Reads values that follow each other in one file. */
  readAll(places: readonly ValuePlace[]): (Uint8Array | undefined)[] {
    const { file, start } = places[0] as ValuePlace;
    const size = places.reduce((sum, place) => sum + place.size, 0);
    const bytes = this.#in(file, (fd) => readFrom(fd, start, size));
    return places.map((place) => {
      const end = place.start - start + place.size;
      return bytes.length < end ? undefined : bytes.subarray(place.start - start, end);
    });
  }

  #in(file: number, read: (fd: number | undefined) => Uint8Array): Uint8Array {
    if (this.#open.has(file)) return read(this.#open.get(file));
    const fd = ifThere(() => openSync(this.#pathOf(file), "r"));
    try {
      return read(fd);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  close(): void {
    this.#close(this.#open.size);
  }

  #close(count: number): void {
    for (const [file, fd] of [...this.#open].slice(0, count)) {
      if (fd !== undefined) closeSync(fd);
      this.#open.delete(file);
    }
  }
}

/** @returns fewer bytes than `size` if the file is deleted or shorter */
function readFrom(fd: number | undefined, start: number, size: number): Uint8Array {
  if (fd === undefined) return new Uint8Array();
  const bytes = Buffer.allocUnsafeSlow(size);
  return bytes.subarray(0, readSync(fd, bytes, 0, size, start));
}

/** Bytes of values that are read together. */
const MAX_RUN_BYTES = 1024 * 1024;

/** Joins places that follow each other in one file, up to MAX_RUN_BYTES. */
function runsOf(places: readonly ValuePlace[]): ValuePlace[][] {
  const runs: ValuePlace[][] = [];
  let [file, end, room] = [-1, 0, 0];
  for (const place of places) {
    const isNext = place.file === file && place.start === end && place.size <= room;
    if (isNext) runs.at(-1)?.push(place);
    else {
      runs.push([place]);
      room = MAX_RUN_BYTES;
    }
    room -= place.size;
    file = place.file;
    end = place.start + place.size;
  }
  return runs;
}
