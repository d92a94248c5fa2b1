import { readdirSync, readFileSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { BareReader } from "../base/bare.ts";
import { ifThere } from "../base/system-errors.ts";
import { storageFailed } from "../runtime/store/coded-store.ts";
import { valueFolder } from "./value-files.ts";
import { ValueSizes } from "./value-sizes.ts";

/**
 * Pause before drafts of deleted actors are swept: one look at the folder for many actors.
 * @unit ms
 */
const SWEEP_MS = 1_000;

/** An actor in the data folder. */
export interface StoredActor {
  actorId: string;
  /** Name of its definition in `use`. */
  name: string;
  key: string[];
  /** Unix milliseconds. */
  createdAt: number;
}

/**
 * The files of actors in a data folder.
 *
 * For RivetKit 2.2's file system driver, which keeps each actor in `state/ID`, `databases/ID.db` and `alarms/ID`. Large values are in
 * `databases/ID.values`.
 */
export class ActorFiles {
  readonly #folder: string;
  /** Deleted actors whose drafts are still to be deleted. */
  readonly #drafts = new Set<string>();
  #sweep: NodeJS.Timeout | undefined;
  readonly #values: ValueSizes;

  constructor(folder: string) {
    this.#folder = folder;
    this.#values = new ValueSizes(join(folder, "databases"));
  }

  /** Ids of all actors. @throws AgentVmError `storage_failed` */
  ids(): string[] {
    const names = unlessMissing(() => readdirSync(join(this.#folder, "state"))) ?? [];
    return names.filter((name) => !name.includes(".tmp."));
  }

  /**
   * Reads an actor's record; `undefined` if it is missing or has an unknown form.
   *
   * @throws AgentVmError `storage_failed` if it cannot be read now
   */
  read(actorId: string): StoredActor | undefined {
    const record = unlessMissing(() => readFileSync(join(this.#folder, "state", actorId)));
    try {
      return record && parseActor(record);
    } catch {
      return undefined;
    }
  }

  /** Bytes of an actor's storage. */
  async storedBytes(actorId: string): Promise<number> {
    const paths = ["", "-wal"].map((suffix) => join(this.#folder, "databases", `${actorId}.db${suffix}`));
    const sizes = await Promise.all(
      paths.map((path) =>
        stat(path).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
    return sizes.reduce((sum, size) => sum + size, await this.#values.of(actorId));
  }

  /** Deletes every file of an actor that has ended. Its record goes last: without it nobody knows of the other files. */
  async remove(actorId: string): Promise<void> {
    const database = join("databases", `${actorId}.db`);
    const names = ["", "-wal", "-shm", "-journal"].map((suffix) => database + suffix);
    names.push(join("alarms", actorId), join("state", actorId));
    await rm(join(this.#folder, valueFolder(database)), { recursive: true, force: true });
    this.#values.forget(actorId);
    for (const name of names) await rm(join(this.#folder, name), { force: true });
    this.#drafts.add(actorId);
    this.#sweep ??= setTimeout(() => void this.#sweepDrafts(), SWEEP_MS).unref();
  }

  /** Deletes the drafts of records (`ID.tmp.*`) that RivetKit leaves when it deletes an actor. */
  async #sweepDrafts(): Promise<void> {
    this.#sweep = undefined;
    const gone = new Set(this.#drafts);
    this.#drafts.clear();
    for (const folder of ["state", "alarms"].map((name) => join(this.#folder, name))) {
      const names = await readdir(folder).catch(() => []);
      const present = new Set(names);
      for (const name of names) {
        const [actorId = ""] = name.split(".tmp.");
        // An actor that was made again may just be writing its record.
        const isLeft = name !== actorId && gone.has(actorId) && !present.has(actorId);
        if (isLeft) await rm(join(folder, name), { force: true }).catch(() => undefined);
      }
    }
  }
}

/** Reads a file or a folder; `undefined` if there is none. @throws AgentVmError `storage_failed` */
function unlessMissing<Read>(read: () => Read): Read | undefined {
  try {
    return ifThere(read);
  } catch (error) {
    throw storageFailed("The records of VMs could not be read", error);
  }
}

/**
 * Parses the record of an actor: in BARE, a version, id, name, key, entries of old storage, and the time of creation.
 *
 * @throws Error if the record has another form
 */
export function parseActor(bytes: Uint8Array): StoredActor {
  const reader = new BareReader(bytes);
  reader.version();
  const [actorId, name] = [reader.text(), reader.text()];
  const key: string[] = [];
  for (let left = reader.integer(); left > 0; left--) key.push(reader.text());
  for (let left = 2 * reader.integer(); left > 0; left--) reader.data();
  return { actorId, name, key, createdAt: reader.fixed64() };
}
