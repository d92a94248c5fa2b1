import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { VmDirectory } from "../../src/directory/vm-directory.ts";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { failure } from "../support/until.ts";

const VM = { actorId: "a1", name: "vm", key: ["a"], createdAt: 1 };

/** Makes the index of a server that was killed: its rows are still in the log. */
function indexed(): { folder: string; path: string } {
  const server = testFolder();
  const rows = new VmRows(server);
  rows.insert(VM);
  rows.change(VM.actorId, { labels: '{"x":"y"}' });
  rows.insert({ ...VM, actorId: "a2" });
  rows.markDestroying("a2");
  const folder = testFolder();
  for (const name of ["vms.db", "vms.db-wal"]) copyFileSync(join(server, name), join(folder, name));
  return { folder, path: join(folder, "vms.db") };
}

/** Names of the files that were moved aside. */
const aside = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.includes(".damaged-"))
    .map((name) => name.replace(/\d+/, "N"))
    .sort();

const open = async (folder: string) => new VmRows(folder);

test.each(["vms.db", "vms.db-wal"])(
  "an index stays, with its labels and deletions, while %s cannot be opened",
  async (name) => {
    const { folder, path } = indexed();
    const hidden = join(folder, name);
    renameSync(hidden, `${hidden}-away`);
    mkdirSync(hidden);
    const error = await failure(open(folder));
    expect(error).toMatchObject({ code: "storage_failed", message: expect.stringContaining(path) });
    expect(aside(folder)).toEqual([]);
    rmdirSync(hidden);
    renameSync(`${hidden}-away`, hidden);
    const rows = new VmRows(folder);
    expect(rows.get(VM.actorId)?.labels).toBe('{"x":"y"}');
    expect(rows.destroying()).toEqual(["a2"]);
  },
);

test.each([
  ["no database", () => Buffer.alloc(8192, "x")],
  ["cut", (whole: Buffer) => whole.subarray(0, 50)],
])("an index that is %s moves aside with its log, and a new one takes its place", (_, damaged) => {
  const { folder, path } = indexed();
  // SQLite keeps a log as long as another program, such as a backup, reads the file.
  const other = new DatabaseSync(path);
  // A log that has every page would repair the file.
  other.exec("PRAGMA wal_checkpoint(TRUNCATE); UPDATE vms SET labels = '{}'");
  writeFileSync(path, damaged(readFileSync(path)));
  const rows = new VmRows(folder);
  expect(aside(folder)).toEqual(["vms.db-wal.damaged-N", "vms.db.damaged-N"]);
  expect(rows.get(VM.actorId)).toBeUndefined();
  rows.insert(VM);
  expect(rows.count()).toBe(1);
  other.close();
  expect(new VmRows(folder).count()).toBe(1);
});

test("a damaged index that cannot be replaced ends the start as a failure of the storage", async () => {
  const folder = testFolder();
  const path = join(folder, "vms.db");
  writeFileSync(path, Buffer.alloc(8192, "x"));
  mkdirSync(`${path}-shm`);
  const error = await failure(open(folder));
  expect(error).toMatchObject({ code: "storage_failed", message: expect.stringContaining(path) });
  rmdirSync(`${path}-shm`);
  expect(new VmRows(folder).count()).toBe(0);
});

/** Writes over every page of an index but the first, which has the names of its tables. */
function damage(path: string): void {
  const other = new DatabaseSync(path);
  other.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  other.close();
  writeFileSync(path, readFileSync(path).fill("x", 4096));
}

test("damage of an index in use fails each question as a failure of the storage, and is told once", () => {
  const folder = testFolder();
  const failures: unknown[] = [];
  const rows = new VmRows(folder, (error) => failures.push(error));
  rows.insert(VM);
  damage(join(folder, "vms.db"));
  const questions = [
    () => rows.get("a1"),
    () => rows.nameOf("a1"),
    () => rows.count(),
    () => rows.destroying(),
    () => rows.select("vm", "", "", 10),
    () => rows.ends("vm", 1, 10),
    () => rows.change("a1", { awake: 1 }),
  ];
  const failed = expect.objectContaining({ code: "storage_failed" });
  for (const question of questions) expect(question).toThrow(failed);
  expect(failures).toEqual([failed]);
});

test("a server that starts replaces an index whose rows are damaged", () => {
  const folder = testFolder();
  new VmRows(folder).insert(VM);
  damage(join(folder, "vms.db"));
  const directory = new VmDirectory(folder, {
    quota: {},
    lifetimes: new Map(),
    isStarting: () => false,
    store: async () => undefined,
    destroy: async () => undefined,
    onFailure: () => undefined,
    onReplaced: () => undefined,
  });
  expect(directory.nameOf("a1")).toBeUndefined();
  expect(aside(folder)).toContain("vms.db.damaged-N");
  directory.close();
});

test("one changed byte in the key of a VM is found at the start, and the other rows stay", () => {
  const folder = testFolder();
  const path = join(folder, "vms.db");
  const rows = new VmRows(folder);
  for (const name of ["first", "changed", "last"])
    rows.insert({ ...VM, actorId: name, key: [`key of ${name}`] });
  rows.change("last", { labels: '{"x":"y"}' });
  rows.close();
  const whole = readFileSync(path);
  const at = whole.indexOf('["key of changed"]');
  whole[at + 3] = "a".charCodeAt(0);
  writeFileSync(path, whole);
  const opened = new VmRows(folder);
  expect(opened.replaced).toBe(
    join(folder, readdirSync(folder).find((name) => name.includes(".damaged-")) ?? ""),
  );
  expect(["first", "changed", "last"].map((id) => opened.nameOf(id)?.key)).toEqual([
    ["key of first"],
    undefined,
    ["key of last"],
  ]);
  expect(opened.get("last")?.labels).toBe('{"x":"y"}');
});
