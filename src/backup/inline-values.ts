import { DatabaseSync } from "node:sqlite";
import { ValueFiles, type ValuePlace, valueFolder } from "../rivet/value-files.ts";

interface PlacedRow extends ValuePlace {
  row: number;
}

/**
 * Puts the large values of an actor into the copy of its database. A backup has one file for the storage of an actor, whatever
 * happens to the actor's files meanwhile.
 *
 * @param source the actor's database, of which `copy` is a copy
 * @param missing files that an earlier copy named too, and that were not there: their values do not count
 * @returns further files that are not there. The actor has deleted them since, and a newer copy does not name them
 */
export function inlineValues(source: string, copy: string, missing: ReadonlySet<number>): Set<number> {
  const db = new DatabaseSync(copy);
  try {
    if (db.prepare("SELECT 1 FROM pragma_table_info('kv') WHERE name = 'file'").get() === undefined)
      return new Set();
    const places = db
      .prepare("SELECT rowid AS row, file, start, size FROM kv WHERE file IS NOT NULL")
      .all() as unknown as PlacedRow[];
    // A VM may delete its files faster than they are read.
    const files = new ValueFiles(valueFolder(source)).open(places);
    const put = db.prepare("UPDATE kv SET value = ?, file = NULL, start = NULL, size = NULL WHERE rowid = ?");
    const drop = db.prepare("DELETE FROM kv WHERE rowid = ?");
    const gone = new Set<number>();
    try {
      // The caller syncs the copy when it is whole.
      db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
      for (const place of places) {
        const value = files.read(place);
        if (value !== undefined) put.run(value, place.row);
        else if (missing.has(place.file)) drop.run(place.row);
        else gone.add(place.file);
      }
      db.exec("COMMIT");
    } finally {
      files.close();
    }
    return gone;
  } finally {
    db.close();
  }
}
