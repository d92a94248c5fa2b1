import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { BareWriter } from "../../src/base/bare.ts";
import { VmDirectory } from "../../src/directory/vm-directory.ts";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { testFolder } from "../support/temporary-folder.ts";

const PAGE_BYTES = 4096;
const VMS = 500;

const start = (folder: string) =>
  new VmDirectory(folder, {
    quota: {},
    lifetimes: new Map([["vm", 60_000]]),
    isStarting: () => false,
    destroy: async () => undefined,
    onFailure: (error) => expect.unreachable(String(error)),
  });

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
    expect((await directory.list("vm", { use: false, limit: 1000 })).vms).toHaveLength(VMS);
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
