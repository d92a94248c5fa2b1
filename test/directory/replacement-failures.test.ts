import { spawnSync } from "node:child_process";
import fs, { copyFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test, vi } from "vitest";
import { VmRows } from "../../src/directory/vm-rows.ts";
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
  const folder = testFolder();
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", folder]);
  if (mounted.status !== 0) skip("only root may mount a small disk");
  onTestFinished(() => void spawnSync("umount", ["-l", folder]));
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
