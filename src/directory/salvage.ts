import { z } from "zod";
import { parseJson } from "../base/json.ts";
import { DatabaseSync } from "../base/sqlite.ts";
import { isDamage } from "../runtime/store/coded-database.ts";
import { isKeyOf } from "./key-text.ts";

const Flag = z.union([z.literal(0), z.literal(1)]);

/** A row of the index that a server can work with. */
const Row = z
  .object({
    actor_id: z.string(),
    name: z.string(),
    key_text: z.string(),
    key: z.string(),
    created_at: z.int(),
    last_used_at: z.int(),
    slept_at: z.int(),
    labels: z.string(),
    destroy_after: z.int().nullable(),
    awake: Flag,
    destroying: Flag,
  })
  .refine(({ key, key_text }) => isKeyOf(key, key_text))
  .refine(({ labels }) => z.record(z.string(), z.string()).safeParse(parseJson(labels)).success);

/** Copies the readable rows of a damaged index into a new one. @throws if the damaged one cannot be read now, or the disk is full */
export function salvage(path: string, fresh: DatabaseSync): void {
  const rows = readableRows(path);
  fresh.exec("BEGIN");
  for (const row of rows) {
    const columns = Object.keys(row);
    fresh
      .prepare(`INSERT INTO vms (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`)
      .run(...Object.values(row));
  }
  fresh.exec("COMMIT");
}

/** Reads the valid rows in front of the first page that SQLite cannot read, and behind the last. */
function readableRows(path: string): z.infer<typeof Row>[] {
  const rows = new Map<string, z.infer<typeof Row>>();
  const seen = new Set<unknown>();
  const db = new DatabaseSync(path);
  try {
    for (const order of ["ASC", "DESC"]) {
      try {
        const select = db.prepare(`SELECT rowid, * FROM vms NOT INDEXED ORDER BY rowid ${order}`);
        // A number that is too large for JavaScript would end the reading.
        select.setReadBigInts(true);
        for (const read of select.iterate()) {
          // All rows are read, or a damaged page leads back to an earlier one.
          if (seen.has(read.rowid)) break;
          seen.add(read.rowid);
          const row = Row.safeParse(withNumbers(read)).data;
          if (row !== undefined) rows.set(row.actor_id, row);
        }
      } catch (error) {
        const isOfSqlite = (error as { errcode?: number }).errcode !== undefined;
        if (isOfSqlite && !isDamage(error)) throw error;
        // The rest from this side cannot be read.
      }
    }
  } finally {
    db.close();
  }
  return [...rows.values()];
}

function withNumbers(read: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(read);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]),
  );
}
