import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test, vi } from "vitest";
import { BareWriter } from "../../src/base/bare.ts";
import { type ReplacedIndex, VmDirectory } from "../../src/directory/vm-directory.ts";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { testFolder } from "../support/temporary-folder.ts";

afterEach(() => void vi.useRealTimers());

const PAGE_BYTES = 4096;
const VMS = 500;

const start = (folder: string, onReplaced: (index: ReplacedIndex) => void = () => undefined) =>
  new VmDirectory(folder, {
    quota: {},
    lifetimes: new Map([["vm", 60_000]]),
    isStarting: () => false,
    store: async () => undefined,
    destroy: async () => undefined,
    onFailure: (error) => expect.unreachable(String(error)),
    onReplaced,
  });

const listed = async (directory: VmDirectory) =>
  (await directory.list("vm", { use: false, limit: 1000 })).vms;

/** Makes a data folder with VMs and their index. */
function filled(): { folder: string; path: string } {
  const folder = testFolder();
  mkdirSync(join(folder, "state"));
  const rows = new VmRows(folder);
  for (let number = 0; number < VMS; number++) {
    const vm = { actorId: `a${number}`, name: "vm", key: [`k${number}`], createdAt: 1 };
    rows.insert(vm);
    rows.change(vm.actorId, { labels: '{"x":"y"}' });
    const record = new BareWriter().byte(1).byte(0).text(vm.actorId).text(vm.name);
    record.integer(1).text(`k${number}`).integer(0).fixed64(vm.createdAt);
    writeFileSync(join(folder, "state", vm.actorId), record.bytes());
  }
  rows.close();
  return { folder, path: join(folder, "vms.db") };
}

/** Changes pages of a tree of an index. Its root is page 0 of the tree. */
function changePages(path: string, tree: string, change: (page: Buffer, number: number) => void): void {
  const db = new DatabaseSync(path);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const pages = db.prepare("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path").all(tree);
  db.close();
  const bytes = readFileSync(path);
  for (const [number, { pageno }] of pages.entries()) {
    const end = Number(pageno) * PAGE_BYTES;
    change(bytes.subarray(end - PAGE_BYTES, end), number);
  }
  writeFileSync(path, bytes);
}

const aside = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.includes(".damaged-"))
    .map((name) => name.replace(/\d+/, "N"));

const TREES = ["vms", "vms_by_key", "sqlite_autoindex_vms_1"];
const PAGES = TREES.flatMap((tree) => [0, 1].map((number) => ({ tree, number })));

test.each(PAGES)("a server starts, and starts again, if page $number of $tree is damaged", async (bad) => {
  const { folder, path } = filled();
  changePages(path, bad.tree, (page, number) => number === bad.number && page.fill("x"));
  for (const added of ["new1", "new2"]) {
    const directory = start(folder);
    expect(await listed(directory)).toHaveLength(VMS);
    directory.admit({ actorId: added, name: "vm", key: [added] });
    expect(directory.nameOf(added)?.key).toEqual([added]);
    directory.close();
  }
  expect(aside(folder)).toEqual(["vms.db.damaged-N"]);
});

test("a server that starts replaces an index that leads from a key to no row", async () => {
  const { folder, path } = filled();
  changePages(path, "vms_by_key", (page) => {
    const at = page.indexOf("k77");
    if (at !== -1) page.write("j", at);
  });
  const directory = start(folder);
  const { vms } = await directory.list("vm", { prefix: ["k77"], use: false, limit: 10 });
  expect(vms.map(({ key }) => key)).toEqual([["k77"]]);
  expect(aside(folder)).toEqual(["vms.db.damaged-N"]);
  directory.close();
});

const marked = (path: string) => {
  const db = new DatabaseSync(path);
  db.exec(
    "UPDATE vms SET destroying = 1 WHERE actor_id = 'a7'; UPDATE vms SET destroy_after = 5000, awake = 1 WHERE actor_id = 'a8'",
  );
  db.close();
};

test("a replaced index keeps labels, ends and begun deletions, and the server says that nothing is lost", async () => {
  const { folder, path } = filled();
  marked(path);
  changePages(path, "vms_by_key", (page) => page.fill("x"));
  const replaced: ReplacedIndex[] = [];
  const directory = start(folder, (index) => replaced.push(index));
  expect(replaced).toEqual([{ path: expect.stringContaining(`${path}.damaged-`), lost: 0 }]);
  expect(existsSync(`${replaced[0]?.path}`)).toBe(true);
  expect(directory.nameOf("a7")).toBeUndefined();
  await directory.deletionOf("a7");
  const vms = await listed(directory);
  expect(vms).toHaveLength(VMS - 1);
  expect(vms.every(({ labels }) => labels.x === "y")).toBe(true);
  const ends = new VmRows(folder).ends("vm", null, 10);
  expect(ends).toEqual([expect.objectContaining({ actor_id: "a8" })]);
  directory.close();
});

test("a replaced index keeps the rows in front of a damaged page and behind it", async () => {
  const { folder, path } = filled();
  marked(path);
  changePages(path, "vms", (page, number) => number === 3 && page.fill("x"));
  const replaced: ReplacedIndex[] = [];
  const directory = start(folder, (index) => replaced.push(index));
  const vms = await listed(directory);
  expect(directory.nameOf("a7")).toBeUndefined();
  const withoutLabels = vms.filter(({ labels }) => labels.x === undefined);
  expect(replaced[0]?.lost).toBe(withoutLabels.length);
  expect(withoutLabels.length).toBeGreaterThan(0);
  expect(withoutLabels.length).toBeLessThan(VMS / 5);
  const labelled = vms.filter(({ labels }) => labels.x === "y").map(({ actorId }) => actorId);
  expect(labelled).toEqual(expect.arrayContaining(["a0", "a499"]));
  directory.close();
});

test("a damaged row does not reach the new index", async () => {
  const { folder, path } = filled();
  const db = new DatabaseSync(path);
  db.exec("UPDATE vms SET key = 'no JSON' WHERE actor_id = 'a9'");
  db.close();
  changePages(path, "vms_by_key", (page) => page.fill("x"));
  const replaced: ReplacedIndex[] = [];
  const directory = start(folder, (index) => replaced.push(index));
  expect(replaced[0]?.lost).toBe(1);
  expect(directory.nameOf("a9")).toEqual({ name: "vm", key: ["k9"] });
  directory.close();
});

test("rows that no server can read cost no other row its labels", async () => {
  const { folder, path } = filled();
  const db = new DatabaseSync(path);
  for (const id of ["a5", "a490"]) db.exec(`UPDATE vms SET key = 'no JSON' WHERE actor_id = '${id}'`);
  for (const id of ["a6", "a489"]) db.exec(`UPDATE vms SET slept_at = ${2n ** 60n} WHERE actor_id = '${id}'`);
  db.close();
  changePages(path, "vms_by_key", (page) => page.fill("x"));
  const replaced: ReplacedIndex[] = [];
  const directory = start(folder, (index) => replaced.push(index));
  expect(replaced[0]?.lost).toBe(4);
  directory.close();
});

test("an index with a key that has half a surrogate pair is whole, and a replaced one keeps its row", () => {
  const folder = testFolder();
  const rows = new VmRows(folder);
  const key = ["lone\udc80"];
  for (const actorId of ["a1", "a2", "a3"]) rows.insert({ actorId, name: "vm", key, createdAt: 1 });
  rows.close();
  const whole = new VmRows(folder);
  expect(whole.replaced).toBeUndefined();
  whole.close();
  changePages(join(folder, "vms.db"), "vms_by_key", (page) => page.fill("x"));
  const again = new VmRows(folder);
  expect([again.replaced, again.count()]).toEqual([expect.stringContaining(".damaged-"), 3]);
  expect(again.nameOf("a2")).toEqual({ name: "vm", key });
  again.close();
});

test("a damaged index stays until its rows are in the new one", async () => {
  const { folder, path } = filled();
  changePages(path, "vms_by_key", (page) => page.fill("x"));
  mkdirSync(join(`${path}.new`, "full"), { recursive: true });
  expect(() => start(folder)).toThrow(expect.objectContaining({ code: "storage_failed" }));
  expect(aside(folder)).toEqual([]);
  rmSync(`${path}.new`, { recursive: true });
  const directory = start(folder);
  expect((await listed(directory))[0]?.labels).toEqual({ x: "y" });
  directory.close();
});

test("a server says that it replaced its index although its start fails then", () => {
  const { folder, path } = filled();
  changePages(path, "vms", (page) => page.fill("x"));
  mkdirSync(join(folder, "state", "unreadable"));
  const replaced: ReplacedIndex[] = [];
  expect(() => start(folder, (index) => replaced.push(index))).toThrow();
  expect(replaced).toEqual([{ path: expect.stringContaining(`${path}.damaged-`), lost: undefined }]);
});

test("a replaced index that is damaged again does not advise to replace it", () => {
  const { folder, path } = filled();
  const advice = () => {
    const messages: string[] = [];
    const rows = new VmRows(folder, (error) => messages.push(String(error)));
    rows.insert({ actorId: "new", name: "vm", key: ["new"], createdAt: 1 });
    changePages(path, "vms", (page) => page.fill("x"));
    expect(() => rows.get("new")).toThrow();
    rows.close();
    return messages[0];
  };
  expect(advice()).toContain("Start the server again: it makes another one");
  expect(advice()).toContain("Check the disk");
});

test("a VM whose row is lost has slept since the start of the server, so that it is not destroyed at once", () => {
  vi.useFakeTimers({ now: 1_000_000, toFake: ["Date"] });
  const { folder, path } = filled();
  writeFileSync(path, Buffer.alloc(PAGE_BYTES, "x"));
  start(folder).close();
  expect(new VmRows(folder).ends("vm", 60_000, 1)).toMatchObject([{ at: 1_060_000 }]);
});
