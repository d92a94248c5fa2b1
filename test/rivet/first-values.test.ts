import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { FirstValues } from "../../src/rivet/first-values.ts";
import { type KvDriver, KvStorage } from "../../src/rivet/kv-storage.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const nodeClass = () => process.getBuiltinModule("node:sqlite").DatabaseSync;
const INSERT = "INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)";

function storageIn(folder: string): { first: FirstValues; storage: KvStorage; driver: KvDriver } {
  mkdirSync(join(folder, "databases"), { recursive: true });
  mkdirSync(join(folder, "state"), { recursive: true });
  const first = new FirstValues();
  const storage = new KvStorage(folder, first);
  return { first, storage, driver: storage.takeOver({} as KvDriver) };
}

test("an actor starts with the values that RivetKit has put, in a database that only the storage opens", async () => {
  const folder = temporaryFolder();
  const { first, storage, driver } = storageIn(folder);
  const Database = first.within(nodeClass);
  await storage.prepare("one");
  const path = join(folder, "databases", "one.db");
  const db = new Database(path);
  db.exec("BEGIN");
  db.prepare(INSERT).run(bytes("key"), bytes("value"));
  db.exec("COMMIT");
  expect(existsSync(`${path}-wal`)).toBe(false);
  expect(await driver.kvBatchGet("one", [bytes("key")])).toEqual([bytes("value")]);
  // Another program sees them too: they are in the log, from which a killed server's next one reads.
  const other = new DatabaseSync(path, { readOnly: true });
  expect(other.prepare("SELECT count(*) AS count FROM kv").get()).toEqual({ count: 1 });
  other.close();
  await storage.close("one");
});

test("values that were not committed, or of an actor that was never made, reach no database", async () => {
  const { first, storage, driver } = storageIn(temporaryFolder());
  const Database = first.within(nodeClass);
  await storage.prepare("one");
  const path = join(temporaryFolder(), "other.db");
  for (const end of ["ROLLBACK", "COMMIT"]) {
    const db = new Database(path);
    db.exec("BEGIN");
    if (end === "ROLLBACK") db.prepare(INSERT).run(bytes("key"), bytes("value"));
    db.exec(end);
  }
  expect(first.of(path)).toEqual([]);
  expect(await driver.kvBatchGet("one", [bytes("key")])).toEqual([null]);
  await storage.close("one");
});

test("Node's class of databases is in its place again once the driver is made, or has failed", () => {
  const first = new FirstValues();
  first.within(() => undefined);
  expect(nodeClass()).toBe(DatabaseSync);
  const fails = () => {
    throw new Error("no");
  };
  expect(() => first.within(fails)).toThrow("no");
  expect(nodeClass()).toBe(DatabaseSync);
});
