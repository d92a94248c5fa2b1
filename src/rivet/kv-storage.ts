import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { vmDestroyed } from "../api/errors.ts";
import { Mutex } from "../base/mutex.ts";
import { type ChangeOptions, LAZY } from "../runtime/store/store.ts";
import { FirstValues } from "./first-values.ts";
import { KvDatabase, type KvListOptions } from "./kv-database.ts";
import { createKvDatabase } from "./kv-schema.ts";
import { changeOptions } from "./lazy-changes.ts";
import { LostValues } from "./lost-values.ts";
import { valueFolder } from "./value-files.ts";

/**
 * Time without a call after which a database is closed. It has four descriptors.
 * @unit ms
 */
const IDLE_MS = 5_000;

type Entry = [Uint8Array, Uint8Array];

/** The part of RivetKit's driver of actors that stores their keys and values. */
export interface KvDriver {
  kvBatchPut(actorId: string, entries: Entry[]): Promise<void>;
  kvBatchGet(actorId: string, keys: Uint8Array[]): Promise<(Uint8Array | null)[]>;
  kvBatchDelete(actorId: string, keys: Uint8Array[]): Promise<void>;
  kvDeleteRange(actorId: string, start: Uint8Array, end: Uint8Array): Promise<void>;
  kvListPrefix(actorId: string, prefix: Uint8Array, options?: KvListOptions): Promise<Entry[]>;
  kvListRange(actorId: string, start: Uint8Array, end: Uint8Array, options?: KvListOptions): Promise<Entry[]>;
}

/** Databases that are about to be closed. Each has a turn of the event loop of its own: many become idle together. */
const ends = new Mutex();

interface Open {
  readonly database: Promise<KvDatabase>;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Stores the keys and values of actors in the files of RivetKit 2.2's file system driver, in place of the driver.
 *
 * RivetKit's own storage adds up all values before each write, and a file never becomes smaller.
 */
export class KvStorage {
  readonly #folder: string;
  readonly #records: string;
  readonly #open = new Map<string, Open>();
  /** Deleted actors. A late write must not make their files again. */
  readonly #closed = new Set<string>();
  /** Lost values of actors whose databases were opened before. */
  readonly #known = new Map<string, LostValues>();
  readonly #first: FirstValues;

  /** @param storagePath the driver's folder @param first values that RivetKit has put into databases of new actors */
  constructor(storagePath: string, first = new FirstValues()) {
    this.#first = first;
    this.#folder = join(storagePath, "databases");
    this.#records = join(storagePath, "state");
    this.#sweep();
  }

  /** Path of the record that RivetKit keeps of an actor that exists. */
  recordOf(actorId: string): string {
    return join(this.#records, actorId);
  }

  /**
   * Makes the database of an actor that does not exist yet, before RivetKit would make it in its own way.
   *
   * @returns whether the actor is new
   */
  async prepare(actorId: string): Promise<boolean> {
    if (existsSync(this.recordOf(actorId))) return false;
    const path = this.#pathOf(actorId);
    this.#first.forget(path);
    // An actor of this id whose creation or deletion broke off must not leave its content to a new one.
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true });
    rmSync(valueFolder(path), { recursive: true, force: true });
    await createKvDatabase(path);
    this.#closed.delete(actorId);
    return true;
  }

  /** Changes a driver in place. */
  takeOver<Driver extends KvDriver>(driver: Driver): Driver {
    const using = async <Result>(
      actorId: string,
      use: (database: KvDatabase) => Result | Promise<Result>,
    ): Promise<Result> => await use(await this.#use(actorId));
    const methods: KvDriver = {
      kvBatchPut: (actorId, entries) =>
        using(actorId, (database) => database.put(entries, optionsOf(entries.map(([key]) => key)))),
      kvBatchGet: (actorId, keys) => using(actorId, (database) => database.get(keys)),
      kvBatchDelete: (actorId, keys) => using(actorId, (database) => database.delete(keys, optionsOf(keys))),
      kvDeleteRange: (actorId, start, end) =>
        using(actorId, (database) => database.deleteRange(start, end, changeOptions())),
      kvListPrefix: (actorId, prefix, options) =>
        using(actorId, (database) => database.list(prefix, upperBound(prefix), options)),
      kvListRange: (actorId, start, end, options) =>
        using(actorId, (database) => database.list(start, end, options)),
    };
    return Object.assign(driver, methods);
  }

  /** Closes the database of an actor that is being deleted. Only `prepare` opens one of this id again. */
  async close(actorId: string): Promise<void> {
    this.#closed.add(actorId);
    this.#known.delete(actorId);
    this.#first.forget(this.#pathOf(actorId));
    await this.#release(actorId);
  }

  #use(actorId: string): Promise<KvDatabase> {
    if (this.#closed.has(actorId)) return Promise.reject(vmDestroyed());
    let open = this.#open.get(actorId);
    if (open === undefined) {
      const known = this.#known.get(actorId);
      const lost = known ?? new LostValues();
      const path = this.#pathOf(actorId);
      const database = KvDatabase.open(path, {
        isFirst: known === undefined,
        lost,
        first: this.#first.of(path),
      });
      const opened: Open = { database, timer: undefined };
      opened.database.then(
        (database) => {
          this.#first.forget(path);
          if (!this.#closed.has(actorId)) this.#known.set(actorId, lost);
          this.#restTimer(actorId, opened, database);
        },
        () => this.#open.delete(actorId),
      );
      open = opened;
      this.#open.set(actorId, open);
    }
    open.timer?.refresh();
    return open.database;
  }

  /** The time without a call begins when the database is open: a conversion may take long. */
  #restTimer(actorId: string, open: Open, database: KvDatabase): void {
    if (this.#open.get(actorId) !== open) return;
    // A failure of the disk stays, and the next rest tries again. Callers that have just got the database use it before it is closed.
    const rest = () => void database.rest().then(() => ends.run(() => nextTurn().then(end)), again);
    const again = () => void open.timer?.refresh();
    const end = () => {
      if (this.#open.get(actorId) !== open) return;
      if (!database.isAtRest) return again();
      clearTimeout(open.timer);
      this.#open.delete(actorId);
      // A database that cannot be closed is opened again all the same.
      database.close().catch(() => undefined);
    };
    open.timer = setTimeout(rest, IDLE_MS).unref();
  }

  async #release(actorId: string): Promise<void> {
    const open = this.#open.get(actorId);
    if (open === undefined) return;
    this.#open.delete(actorId);
    clearTimeout(open.timer);
    const database = await open.database.catch(() => undefined);
    // Nobody waits for a sync of files that are about to be deleted. If the server is killed before, they are whole.
    await database?.close({ leavesLog: true });
  }

  /** Deletes large values of actors that a killed server had begun to make or to delete. */
  #sweep(): void {
    const names = existsSync(this.#folder) ? readdirSync(this.#folder) : [];
    for (const name of names) {
      const [actorId = "", kind] = name.split(".");
      if (kind === "values" && !existsSync(this.recordOf(actorId)))
        rmSync(join(this.#folder, name), { recursive: true, force: true });
    }
  }

  #pathOf(actorId: string): string {
    return join(this.#folder, `${actorId}.db`);
  }
}

/** First byte of the keys at which RivetKit keeps connections. None of them outlives the server. */
const CONNECTION = 2;

function optionsOf(keys: readonly Uint8Array[]): ChangeOptions {
  return keys.every(([kind]) => kind === CONNECTION) ? LAZY : changeOptions();
}

/** Id of an actor, as RivetKit 2.2's file system driver derives it. */
export function actorIdOf(name: string, key: readonly string[]): string {
  return createHash("sha256")
    .update(JSON.stringify([name, key]))
    .digest("hex")
    .slice(0, 16);
}

/** The first key after all keys that begin with a prefix; `undefined` if there is none. */
function upperBound(prefix: Uint8Array): Uint8Array | undefined {
  let last = prefix.length - 1;
  while (last >= 0 && prefix[last] === 0xff) last--;
  if (last < 0) return undefined;
  const bound = prefix.slice(0, last + 1);
  bound[last] = (bound[last] as number) + 1;
  return bound;
}
