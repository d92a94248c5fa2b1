import { join } from "node:path";
import type { Labels } from "../api/methods/machine.ts";
import { parseJson } from "../base/json.ts";
import { Known } from "../base/known.ts";
import { DatabaseSync } from "../base/sqlite.ts";
import type { StoredActor } from "../rivet/actor-files.ts";
import { CodedDatabase, type CodedStatement } from "../runtime/store/coded-database.ts";
import { openIndex, VMS_FILE } from "./index-file.ts";
import { keyText } from "./key-text.ts";

/** A VM in the index. */
export interface VmRow {
  actor_id: string;
  name: string;
  key_text: string;
  key: string;
  created_at: number;
  last_used_at: number;
  labels: string;
}

/** Actor whose time to be destroyed has come, or will come. */
interface End {
  actor_id: string;
  at: number;
}

type Change = Partial<Record<"last_used_at" | "slept_at" | "awake" | "destroying", number>> & {
  labels?: string;
  destroy_after?: number | null;
};

/**
 * Names of VMs that the index keeps in memory.
 * @unit names
 * @past The index reads the name that was not asked for longest from SQLite again.
 */
const MAX_NAMES = 10_000;

/**
 * The index of a data folder: one row an actor, in SQLite. It can be made again from the actors' files. Changes wait for a lock of
 * another process until the server has started. A method that fails throws an AgentVmError `storage_failed`.
 */
export class VmRows {
  readonly #db: CodedDatabase;
  /** Every request to a VM asks for its row. */
  readonly #get: CodedStatement;
  readonly #insert: CodedStatement;
  /** Names of VMs that were asked for. SQLite takes as long as the rest of a small request. */
  readonly #names = new Known<{ name: string; key: readonly string[] }>(MAX_NAMES);

  /** Path of the damaged index that this one replaces. */
  readonly replaced: string | undefined;

  /** @param onDamage receives the first failure of an index that is damaged while it is in use */
  constructor(folder: string, onDamage: (error: unknown) => void = () => undefined) {
    const { db, replaced } = openIndex(join(folder, VMS_FILE));
    this.replaced = replaced;
    this.#db = new CodedDatabase(() => db, {
      name: "The index of VMs",
      remedy: replaced
        ? "Check the disk: the server found the last index damaged too, when it started"
        : "Start the server again: it makes another one of the rows that it can read and the files of the VMs",
      onDamage,
    });
    this.#get = this.#db.prepare("SELECT * FROM vms WHERE actor_id = ?");
    this.#insert = this.#db.prepare(
      "INSERT OR IGNORE INTO vms (actor_id, name, key_text, key, created_at, last_used_at, slept_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
  }

  /** The server has started. Later changes fail at once for a lock: a wait holds the event loop, and all VMs with it. */
  started(): void {
    this.#db.exec("PRAGMA busy_timeout = 0");
  }

  get(actorId: string): (VmRow & { destroying: number }) | undefined {
    return this.#get.get(actorId) as never;
  }

  /** Returns the name and the key of an actor that is not being destroyed. */
  nameOf(actorId: string): { name: string; key: readonly string[] } | undefined {
    const known = this.#names.get(actorId);
    if (known !== undefined) return known;
    const row = this.get(actorId);
    if (row === undefined || row.destroying === 1) return undefined;
    const found = { name: row.name, key: JSON.parse(row.key) as string[] };
    this.#names.set(actorId, found);
    return found;
  }

  count(): number {
    return (this.#db.prepare("SELECT COUNT(*) AS vms FROM vms WHERE destroying = 0").get() as { vms: number })
      .vms;
  }

  insert({ actorId, name, key, createdAt }: StoredActor): void {
    const text = JSON.stringify(key);
    this.#insert.run(actorId, name, keyText(key), text, createdAt, createdAt, createdAt);
  }

  change(actorId: string, change: Change): void {
    const columns = Object.keys(change).map((column) => `${column} = ?`);
    this.#db
      .prepare(`UPDATE vms SET ${columns.join(", ")} WHERE actor_id = ?`)
      .run(...Object.values(change), actorId);
  }

  /** Notes that an actor is being deleted. The note outlives a loss of power. */
  markDestroying(actorId: string): void {
    this.#names.delete(actorId);
    this.#db.exec("PRAGMA synchronous = FULL");
    try {
      this.change(actorId, { destroying: 1 });
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
  }

  destroying(): string[] {
    return storedIds(this.#db, "WHERE destroying = 1");
  }

  forget(actorId: string): void {
    this.#names.delete(actorId);
    this.#db.prepare("DELETE FROM vms WHERE actor_id = ?").run(actorId);
  }

  /** VMs of a name in the order of their keys, from a text of a key on, whose text begins with `prefix`. */
  select(name: string, prefix: string, from: string, limit: number): VmRow[] {
    return this.#db
      .prepare(
        "SELECT * FROM vms WHERE name = ? AND key_text >= ? AND key_text < ? AND key_text >= ? AND destroying = 0 ORDER BY key_text LIMIT ?",
      )
      .all(name, prefix, `${prefix}\u{10ffff}`, from, limit) as unknown as VmRow[];
  }

  /**
   * The sleeping VMs of a name whose end comes first, soonest first.
   *
   * @param destroyAfterMs time of sleep after which a VM without a time of its own ends; `null`: never
   */
  ends(name: string, destroyAfterMs: number | null, limit: number): End[] {
    return this.#db
      .prepare(
        "SELECT actor_id, slept_at + COALESCE(destroy_after, ?) AS at FROM vms WHERE name = ? AND awake = 0 AND destroying = 0 AND at IS NOT NULL ORDER BY at LIMIT ?",
      )
      .all(destroyAfterMs, name, limit) as unknown as End[];
  }

  /** Notes that no VM is awake: their server has started again. The sleep of each VM that was awake begins now. */
  allAsleep(now: number): void {
    this.#db.prepare("UPDATE vms SET awake = 0, slept_at = ? WHERE awake = 1").run(now);
  }

  /**
   * Adds actors that the index does not know, and drops rows without an actor, except for deletions to be finished. Close an index
   * that fails to do so: its transaction may be open.
   *
   * @returns the number of actors that it added
   */
  reconcile(stored: ReadonlySet<string>, read: (actorId: string) => StoredActor | undefined): number {
    const known = new Set(storedIds(this.#db, "WHERE destroying = 0"));
    const destroying = new Set(this.destroying());
    let added = 0;
    this.#db.exec("BEGIN");
    for (const actorId of stored) {
      const actor = known.has(actorId) || destroying.has(actorId) ? undefined : read(actorId);
      if (actor === undefined) continue;
      this.insert(actor);
      // Nobody knows since when the VM sleeps. It must not end for a sleep that was shorter.
      this.change(actorId, { slept_at: Date.now() });
      added += 1;
    }
    for (const actorId of known) if (!stored.has(actorId)) this.forget(actorId);
    this.#db.exec("COMMIT");
    return added;
  }

  /** No statement follows. */
  close(): void {
    this.#db.close();
  }
}

/** Drops rows of a copy of the index. @param isKept whether a row stays, by the actor's id */
export function pruneIndex(path: string, isKept: (actorId: string) => boolean): void {
  const db = new DatabaseSync(path);
  try {
    db.exec("BEGIN");
    const forget = db.prepare("DELETE FROM vms WHERE actor_id = ?");
    for (const actorId of storedIds(db, "")) if (!isKept(actorId)) forget.run(actorId);
    db.exec("COMMIT");
  } finally {
    db.close();
  }
}

/** Ids of the actors in a copy of the index that are not being deleted. */
export function indexedIds(path: string): Set<string> {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return new Set(storedIds(db, "WHERE destroying = 0"));
  } finally {
    db.close();
  }
}

function storedIds(db: { prepare(sql: string): Pick<CodedStatement, "all"> }, where: string): string[] {
  const rows = db.prepare(`SELECT actor_id FROM vms ${where}`).all();
  return (rows as unknown as VmRow[]).map((row) => row.actor_id);
}

export function labelsOf(row: VmRow): Labels {
  return (parseJson(row.labels) ?? {}) as Labels;
}
