import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { createKvDatabase } from "../../src/rivet/kv-schema.ts";
import { LAZY } from "../../src/runtime/store/store.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const MIB = 1024 * 1024;
const folder = temporaryFolder();
let path = "";
let count = 0;
let opened: KvDatabase[] = [];

async function open(): Promise<KvDatabase> {
  const database = await KvDatabase.open(path);
  opened.push(database);
  return database;
}

afterEach(async () => {
  for (const database of opened) await database.close();
  opened = [];
});

const nextPath = () => {
  count += 1;
  path = join(folder, `${count}.db`);
};
const key = (text: string) => new TextEncoder().encode(text);
const texts = (entries: [Uint8Array, Uint8Array][]) =>
  entries.map(([name]) => new TextDecoder().decode(name));

/** Bytes of the file and its log. */
const size = () =>
  [path, `${path}-wal`].reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0);

async function fill(database: KvDatabase, mib: number): Promise<void> {
  for (let index = 0; index < mib * 16; index++)
    await database.put([[key(`k${index}`), new Uint8Array(65_536).fill(index)]]);
}

test("keeps, lists and deletes entries in the order of their keys' bytes", async () => {
  nextPath();
  await createKvDatabase(path);
  const database = await open();
  await database.put(["b", "a", "c", "ab"].map((name) => [key(name), key(name)]));
  expect(
    database.get([key("a"), key("none")]).map((value) => value && new TextDecoder().decode(value)),
  ).toEqual(["a", null]);
  expect(texts(database.list(key("a"), key("c")))).toEqual(["a", "ab", "b"]);
  expect(texts(database.list(key("a"), undefined, { reverse: true, limit: 2 }))).toEqual(["c", "b"]);
  await database.delete([key("b")]);
  await database.deleteRange(key("a"), key("b"));
  expect(texts(database.list(new Uint8Array(), undefined))).toEqual(["c"]);
});

test("writes entries together or not at all", async () => {
  nextPath();
  const database = await open();
  const bad = [key("b"), null] as unknown as [Uint8Array, Uint8Array];
  await expect(database.put([[key("a"), key("a")], bad])).rejects.toThrow();
  expect(database.list(new Uint8Array(), undefined)).toEqual([]);
  await database.put([[key("a"), key("a")]]);
  expect(database.list(new Uint8Array(), undefined)).toHaveLength(1);
});

test("deleted content leaves the file", async () => {
  nextPath();
  await createKvDatabase(path);
  const database = await open();
  await fill(database, 32);
  expect(size()).toBeGreaterThan(32 * MIB);
  await database.deleteRange(key("k"), key("l"));
  // The log is folded into the file after a thousand pages, so a few writes follow.
  await expect
    .poll(async () => {
      await database.put([[key("x"), new Uint8Array(65_536)]]);
      return size();
    })
    .toBeLessThan(12 * MIB);
});

test("a database of RivetKit gives room back from its next opening on", { tags: ["slow"] }, async () => {
  nextPath();
  const old = new DatabaseSync(path);
  old.exec("PRAGMA journal_mode = WAL; CREATE TABLE kv (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)");
  const put = old.prepare("INSERT INTO kv VALUES (?, ?)");
  for (let index = 0; index < 640; index++) put.run(key(`k${index}`), new Uint8Array(65_536));
  put.run(key("kept"), key("kept"));
  old.exec("DELETE FROM kv WHERE key != CAST('kept' AS BLOB)");
  old.close();
  expect(size()).toBeGreaterThan(40 * MIB);
  const database = await open();
  expect(texts(database.list(new Uint8Array(), undefined))).toEqual(["kept"]);
  await database.close();
  expect(size()).toBeLessThan(MIB);
});

test("the deletion of a long range is made in steps, which leave turns of the event loop to others", async () => {
  nextPath();
  await createKvDatabase(path);
  const database = await open();
  const rows = Array.from({ length: 200 }, (_, at): [Uint8Array, Uint8Array] => [
    key(`k${String(at).padStart(3, "0")}`),
    new Uint8Array(60_000),
  ]);
  await database.put(rows, LAZY);
  // However fast the machine is, others may have their turn after each transaction.
  const run = vi.spyOn(DatabaseSync.prototype, "exec");
  await database.deleteRange(key("k"), key("l"));
  const transactions = run.mock.calls.filter(([sql]) => sql === "COMMIT").length;
  run.mockRestore();
  expect(transactions).toBe(7);
  expect(database.list(key("k"), key("l"))).toEqual([]);
});

test("a put after the deletion of a long range stays", async () => {
  nextPath();
  await createKvDatabase(path);
  const database = await open();
  const entries = Array.from({ length: 200 }, (_, at): [Uint8Array, Uint8Array] => [
    key(`k${at}`),
    key("old"),
  ]);
  await database.put(entries);
  await Promise.all([database.deleteRange(key("k"), key("l")), database.put([[key("k1"), key("new")]])]);
  expect(texts(database.list(key("k"), key("l")))).toEqual(["k1"]);
});
