import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { inlineValues } from "../../src/backup/inline-values.ts";
import { KvDatabase } from "../../src/rivet/kv-database.ts";
import { createKvDatabase } from "../../src/rivet/kv-schema.ts";
import { KvStorage } from "../../src/rivet/kv-storage.ts";
import { LAZY } from "../../src/runtime/store/store.ts";
import { ROOT } from "../support/doctor-after.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const LARGE = 100_000;
const root = temporaryFolder();
let count = 0;
let opened: KvDatabase[] = [];

afterEach(async () => {
  for (const database of opened) await database.close();
  opened = [];
});

async function place() {
  count += 1;
  const path = join(root, `${count}.db`);
  const folder = join(root, `${count}.values`);
  await createKvDatabase(path);
  const open = async () => {
    const database = await KvDatabase.open(path);
    opened.push(database);
    return database;
  };
  return { path, folder, open, files: () => (existsSync(folder) ? readdirSync(folder) : []) };
}

const key = (text: string) => new TextEncoder().encode(text);
const large = (byte: number) => new Uint8Array(LARGE).fill(byte);
const all = (database: KvDatabase) =>
  database
    .list(new Uint8Array(), undefined)
    .map(([name, { length, 0: first }]) => [new TextDecoder().decode(name), length, first]);

test("large values of a lazy change are in one file beside the database, and read as before", async () => {
  const { open, files } = await place();
  const database = await open();
  await database.put(
    [
      [key("a"), large(1)],
      [key("b"), key("small")],
      [key("c"), large(3)],
    ],
    LAZY,
  );
  expect(files()).toHaveLength(1);
  await database.put([[key("d"), large(4)]]);
  expect(files()).toHaveLength(1);
  const expected = [
    ["a", LARGE, 1],
    ["b", 5, 115],
    ["c", LARGE, 3],
    ["d", LARGE, 4],
  ];
  expect(all(database)).toEqual(expected);
  expect(database.get([key("c"), key("none")]).map((value) => value?.[0] ?? null)).toEqual([3, null]);
  await database.close();
  expect(all(await open())).toEqual(expected);
});

test("a file is deleted after its last value, when the disk knows of that", async () => {
  const { open, files } = await place();
  const database = await open();
  await database.put(
    [
      [key("a"), large(1)],
      [key("b"), large(2)],
      [key("c"), large(3)],
    ],
    LAZY,
  );
  await database.delete([key("a")]);
  await database.put([[key("b"), key("small")]], LAZY);
  expect(all(database)).toEqual([
    ["b", 5, 115],
    ["c", LARGE, 3],
  ]);
  expect(files()).toHaveLength(1);
  await database.deleteRange(key("c"), key("d"), LAZY);
  expect(files()).toHaveLength(1);
  await database.put([[key("e"), key("e")]]);
  await expect.poll(files).toEqual([]);
});

test("a replaced value has a new file, and its old one is deleted", async () => {
  const { open, files } = await place();
  const database = await open();
  await database.put([[key("a"), large(1)]], LAZY);
  const before = files();
  await database.put([[key("a"), large(2)]], LAZY);
  expect(files()).toHaveLength(2);
  await database.settle();
  await expect.poll(files).toHaveLength(1);
  expect(files()).not.toEqual(before);
  expect(all(database)).toEqual([["a", LARGE, 2]]);
});

test("files that a killed server has left are deleted at the next opening, and no others", async () => {
  const { open, folder, files } = await place();
  const database = await open();
  await database.put([[key("a"), large(1)]], LAZY);
  const kept = files();
  await database.close();
  writeFileSync(join(folder, "17"), "left");
  await (await open()).settle();
  await expect.poll(files).toEqual(kept);
});

test("a value whose file is lost counts as missing", async () => {
  const { open, folder } = await place();
  const database = await open();
  await database.put(
    [
      [key("a"), large(1)],
      [key("b"), key("b")],
    ],
    LAZY,
  );
  rmSync(folder, { recursive: true });
  expect(database.get([key("a")])).toEqual([null]);
  expect(all(database)).toEqual([["b", 1, 98]]);
  for (const reverse of [false, true])
    expect(database.list(new Uint8Array(), undefined, { reverse, limit: 1 })).toHaveLength(1);
});

test("a change fails if its file cannot be written, and changes nothing", async () => {
  const { open, folder } = await place();
  const database = await open();
  writeFileSync(folder, "in the way");
  await expect(
    database.put(
      [
        [key("a"), large(1)],
        [key("b"), key("b")],
      ],
      LAZY,
    ),
  ).rejects.toThrow();
  expect(all(database)).toEqual([]);
});

test("a database of format 1 opens, and gets large values of both kinds", async () => {
  const { path, open, files } = await place();
  rmSync(path);
  const old = new DatabaseSync(path);
  old.exec("PRAGMA journal_mode = WAL; CREATE TABLE kv (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL)");
  old.prepare("INSERT INTO kv VALUES (?, ?)").run(key("a"), large(1));
  old.close();
  const database = await open();
  await database.put([[key("b"), large(2)]], LAZY);
  expect(files()).toHaveLength(1);
  expect(all(database)).toEqual([
    ["a", LARGE, 1],
    ["b", LARGE, 2],
  ]);
});

test("a new actor has none of the large values of an earlier one with its id", async () => {
  const storage = new KvStorage(root);
  mkdirSync(join(root, "databases", "x.values"), { recursive: true });
  writeFileSync(join(root, "databases", "x.values", "17"), "left");
  expect(await storage.prepare("x")).toBe(true);
  expect(existsSync(join(root, "databases", "x.values"))).toBe(false);
});

test("a server that starts deletes the large values of actors that do not exist, and no others", () => {
  const folder = join(root, "start");
  for (const id of ["there", "gone"])
    mkdirSync(join(folder, "databases", `${id}.values`), { recursive: true });
  mkdirSync(join(folder, "state"));
  writeFileSync(join(folder, "state", "there"), "");
  new KvStorage(folder);
  expect(readdirSync(join(folder, "databases"))).toEqual(["there.values"]);
});

test("a backup's copy has the values themselves, and needs another copy if one is deleted meanwhile", async () => {
  const { path, folder, open } = await place();
  const database = await open();
  await database.put([[key("a"), large(1)]], LAZY);
  await database.put([[key("b"), large(2)]], LAZY);
  await database.close();
  const copy = (name: string) => {
    const target = join(root, `${count}-${name}.db`);
    const source = new DatabaseSync(path);
    source.prepare("VACUUM INTO ?").run(target);
    source.close();
    return target;
  };
  const first = copy("first");
  expect(inlineValues(path, first, new Set())).toEqual(new Set());
  expect(all(await KvDatabase.open(first))).toEqual([
    ["a", LARGE, 1],
    ["b", LARGE, 2],
  ]);
  const second = copy("second");
  const [lost = ""] = readdirSync(folder);
  rmSync(join(folder, lost));
  const missing = inlineValues(path, second, new Set());
  expect(missing).toEqual(new Set([Number(lost)]));
  const third = copy("third");
  expect(inlineValues(path, third, missing)).toEqual(new Set());
  expect(all(await KvDatabase.open(third))).toHaveLength(1);
});

test("a backup's copy has values whose files the VM deletes while they are read", async () => {
  const { path, folder, open } = await place();
  const database = await open();
  for (const name of ["a", "b", "c"]) await database.put([[key(name), large(1)]], LAZY);
  await database.close();
  const target = join(root, `${count}-copy.db`);
  const source = new DatabaseSync(path);
  source.prepare("VACUUM INTO ?").run(target);
  source.close();
  const allocate = Buffer.allocUnsafeSlow.bind(Buffer);
  // The first reading allocates its buffer.
  vi.spyOn(Buffer, "allocUnsafeSlow").mockImplementation((bytes) => {
    rmSync(folder, { recursive: true, force: true });
    return allocate(bytes);
  });
  const gone = inlineValues(path, target, new Set());
  vi.restoreAllMocks();
  expect(gone).toEqual(new Set());
  const copy = await KvDatabase.open(target);
  opened.push(copy);
  expect(all(copy)).toHaveLength(3);
});

/** Puts the values of 150 files into a copy with descriptors for 100. */
const INLINE = `
import { mkdirSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { inlineValues } from "./src/backup/inline-values.ts";
const [folder] = process.argv.slice(1);
mkdirSync(folder + "/source.values", { recursive: true });
const copy = new DatabaseSync(folder + "/copy.db");
copy.exec("CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB, file INTEGER, start INTEGER, size INTEGER)");
for (let file = 1; file <= 150; file++) {
  writeFileSync(folder + "/source.values/" + file, "value");
  copy.prepare("INSERT INTO kv VALUES (?, '', ?, 0, 5)").run(String(file), file);
}
copy.close();
console.log(inlineValues(folder + "/source.db", folder + "/copy.db", new Set()).size);
`;

test("a backup has all values of more files than it has descriptors", () => {
  const { stdout, stderr } = spawnSync(
    "prlimit",
    ["--nofile=100", process.execPath, "--input-type=module", "-e", INLINE, join(root, "many")],
    { cwd: ROOT, encoding: "utf8" },
  );
  expect({ stdout, stderr }).toMatchObject({ stdout: "0\n" });
});
