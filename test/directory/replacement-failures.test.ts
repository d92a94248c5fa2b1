import fs, { copyFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { smallDisk } from "../support/small-disk.ts";
import { testFolder } from "../support/temporary-folder.ts";

const KIB = 1024;
const PAGE_BYTES = 4096;
const VMS = 200;

/** Makes an index whose rows are all readable, and whose index of keys is damaged. */
function damaged(): string {
  const folder = testFolder();
  const made = new VmRows(folder);
  for (let number = 0; number < VMS; number++) {
    const actorId = `a${number}`;
    made.insert({ actorId, name: "vm", key: [`k${number}`], createdAt: 1 });
    made.change(actorId, { labels: '{"x":"y"}' });
  }
  made.markDestroying("a7");
  made.close();
  const path = join(folder, "vms.db");
  const index = new DatabaseSync(path);
  const root = index.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'vms_by_key'").get();
  index.close();
  const end = Number(root?.rootpage) * PAGE_BYTES;
  writeFileSync(path, fs.readFileSync(path).fill("x", end - PAGE_BYTES, end));
  return path;
}

/** Opens an index. @returns whether it took the place of a damaged one; `undefined` if the storage failed */
function opened(folder: string): boolean | undefined {
  try {
    const index = new VmRows(folder);
    index.close();
    return index.replaced !== undefined;
  } catch (error) {
    expect(error).toMatchObject({ code: "storage_failed" });
    return undefined;
  }
}

/** Asserts that the next start finds each row of an index, with its labels and its begun deletion. */
function expectAllRows(folder: string): void {
  const index = new VmRows(folder);
  const kept = index.select("vm", "", "", VMS);
  expect(kept).toHaveLength(VMS - 1);
  expect(kept.every(({ labels }) => labels === '{"x":"y"}')).toBe(true);
  expect(index.destroying()).toEqual(["a7"]);
  index.close();
}

test("a disk that becomes full while a server replaces its index loses no row", ({ skip }) => {
  const original = damaged();
  const folder = smallDisk(skip, "1m");
  const starts = new Set<boolean | undefined>();
  for (let room = 0; room < 400 * KIB; room += 8 * KIB) {
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    copyFileSync(original, join(folder, "vms.db"));
    const { bsize, bavail } = statfsSync(folder);
    writeFileSync(join(folder, "filler"), new Uint8Array(bsize * bavail - room));
    starts.add(opened(folder));
    rmSync(join(folder, "filler"));
    expectAllRows(folder);
  }
  expect(starts).toEqual(new Set([undefined, true]));
});

const CHANGES = ["linkSync", "renameSync", "rmSync"] as const;

/** Runs work that can change the names of so many files, as a server that dies then. @returns whether it had to change more */
function dies(changes: number, work: () => void): boolean {
  let made = 0;
  const spies = CHANGES.map((name) => {
    const change = fs[name] as (...args: unknown[]) => void;
    return vi.spyOn(fs, name).mockImplementation((...args: unknown[]) => {
      made += 1;
      if (made > changes) throw new Error("The server is dead");
      change(...args);
    });
  });
  syncBuiltinESMExports();
  try {
    work();
  } finally {
    for (const spy of spies) spy.mockRestore();
    syncBuiltinESMExports();
  }
  return made > changes;
}

test("a server that dies between any two steps of the replacement loses no row", () => {
  const original = damaged();
  let steps = 0;
  for (let isDead = true; isDead; steps++) {
    const folder = testFolder();
    copyFileSync(original, join(folder, "vms.db"));
    isDead = dies(steps, () => void opened(folder));
    expectAllRows(folder);
  }
  expect(steps).toBeGreaterThan(3);
});

/** Answers of SQLite 3.53 for a page that the disk does not read. */
const UNREAD_PAGES = [
  "Tree 2 page 6: unable to get the page. error code=266",
  "Tree 2 page 6: unable to get the page. error code=8458",
  "Tree 2 page 6 cell 0: failed to get page 4",
];

test.each(UNREAD_PAGES)("an index stays if its check says: %s", (found) => {
  const path = damaged();
  const { prepare } = DatabaseSync.prototype;
  const prepared = vi.spyOn(DatabaseSync.prototype, "prepare").mockImplementation(function (
    this: DatabaseSync,
    sql,
    options,
  ) {
    const said = `SELECT '*** in database main ***\n${found}' AS integrity_check`;
    return prepare.call(this, sql.includes("integrity_check") ? said : sql, options);
  });
  const folder = dirname(path);
  try {
    expect(opened(folder)).toBeUndefined();
  } finally {
    prepared.mockRestore();
  }
  expect(readdirSync(folder)).toEqual(["vms.db"]);
  expectAllRows(folder);
});

test("an index stays if the disk does not read all of it, although SQLite calls it damaged", () => {
  const path = damaged();
  const read = vi.spyOn(fs, "readSync").mockImplementation(() => {
    throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  });
  syncBuiltinESMExports();
  const folder = dirname(path);
  try {
    expect(opened(folder)).toBeUndefined();
  } finally {
    read.mockRestore();
    syncBuiltinESMExports();
  }
  expect(readdirSync(folder)).toEqual(["vms.db"]);
  expectAllRows(folder);
});

test("a row with a number that no server can read does not reach the new index", () => {
  const path = damaged();
  const index = new DatabaseSync(path);
  index.exec("UPDATE vms SET created_at = 1 << 60 WHERE actor_id = 'a9'");
  index.close();
  const folder = dirname(path);
  expect(opened(folder)).toBe(true);
  const replaced = new VmRows(folder);
  expect(replaced.get("a9")).toBeUndefined();
  expect(replaced.count()).toBe(VMS - 2);
  replaced.close();
});

test("a damaged index is replaced on a file system without hard links", () => {
  const path = damaged();
  const bytes = fs.readFileSync(path);
  const link = vi.spyOn(fs, "linkSync").mockImplementation(() => {
    throw Object.assign(new Error("EPERM: operation not permitted, link"), { code: "EPERM" });
  });
  syncBuiltinESMExports();
  const folder = dirname(path);
  try {
    expect(opened(folder)).toBe(true);
  } finally {
    link.mockRestore();
    syncBuiltinESMExports();
  }
  const [aside = ""] = readdirSync(folder).filter((name) => name.includes(".damaged-"));
  expect(fs.readFileSync(join(folder, aside)).equals(bytes)).toBe(true);
  expectAllRows(folder);
});
