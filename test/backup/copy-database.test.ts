import { readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { copyDatabase } from "../../src/backup/copy-database.ts";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { createKvDatabase } from "../../src/rivet/kv-schema.ts";
import { testFolder } from "../support/temporary-folder.ts";

const key = (n: number) => Buffer.from(`key-${n}`);

async function database() {
  const folder = testFolder();
  const path = join(folder, "a.db");
  await createKvDatabase(path);
  const kv = await KvDatabase.open(path);
  onTestFinished(() => kv.close());
  for (let n = 0; n < 50; n++) await kv.put([[key(n), Buffer.alloc(10_000, n)]]);
  return { folder, path, kv, copy: join(folder, "copy") };
}

function countOf(path: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  onTestFinished(() => db.close());
  return (db.prepare("SELECT COUNT(*) AS count FROM kv").get() as { count: number }).count;
}

test("copies a database that is open for writing, with what is only in its log", async () => {
  const { path, kv, copy } = await database();
  expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
  expect(await copyDatabase(path, copy)).toBeUndefined();
  expect(countOf(copy)).toBe(50);
  await kv.put([[key(50), Buffer.from("later")]]);
  expect(countOf(copy)).toBe(50);
});

test("copies a closed database, leaves no file beside it, and knows it again until it changes", async () => {
  const { folder, path, kv, copy } = await database();
  await kv.close();
  const first = await copyDatabase(path, copy);
  expect(readdirSync(folder).sort()).toEqual(["a.db", "copy"]);
  expect(first).toEqual(expect.any(String));
  expect(await copyDatabase(path, `${copy}-2`)).toBe(first);
  const again = await KvDatabase.open(path);
  await again.put([[key(50), Buffer.from("later")]]);
  await again.close();
  const second = await copyDatabase(path, `${copy}-3`);
  expect(second).toEqual(expect.any(String));
  expect(second).not.toBe(first);
  expect([countOf(copy), countOf(`${copy}-3`)]).toEqual([50, 51]);
});

test("copies no deleted content", async () => {
  const { path, kv, copy } = await database();
  await kv.deleteRange(key(1), Buffer.from("key-~"));
  await kv.close();
  await copyDatabase(path, copy);
  expect(countOf(copy)).toBe(1);
  expect(statSync(path).size).toBeGreaterThan(400_000);
  expect(statSync(copy).size).toBeLessThan(50_000);
});

test("refuses a damaged and a missing database", async () => {
  const { path, kv, copy } = await database();
  await kv.close();
  truncateSync(path, 8_192);
  await expect(copyDatabase(path, copy)).rejects.toThrow("malformed");
  await expect(copyDatabase(`${path}-none`, copy)).rejects.toThrow("unable to open");
  expect(readdirSync(join(path, "..")).sort()).toEqual(["a.db"]);
});
