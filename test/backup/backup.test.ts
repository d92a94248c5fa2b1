import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeAll, expect, test } from "vitest";
import { backUp } from "../../src/backup/backup.ts";
import { restore } from "../../src/backup/restore.ts";
import { indexedIds } from "../../src/directory/vm-rows.ts";
import { ActorFiles, parseActor } from "../../src/rivet/actor-files.ts";
import { runBackup } from "../support/backups.ts";
import { startTestServer } from "../support/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder();
const dataDir = join(folder, "data");
const onProgress = () => undefined;
const make = (name: string, options: { base?: string; hasTokens?: boolean } = {}) =>
  backUp({ dataDir, target: join(folder, name), hasTokens: true, onProgress, ...options });
const storageOf = (name: string, actorId: string) => join(folder, name, "databases", `${actorId}.db`);

const KEYS = ["one", "three", "two"];
/** Actor ids in the order of the keys. */
let ids: string[] = [];

/** Makes a VM for each key, or changes the VM. Closes their storage, as a server does after 5 s without a call. */
async function write(keys: readonly string[]): Promise<string[]> {
  const server = await startTestServer({ kind: "memory", process: true, dataDir });
  for (const key of keys) await server.client().vm.getOrCreate(key).writeFile("/workspace/a", "a");
  const { vms } = await server.client().vm.list();
  await server.stop("SIGTERM");
  for (const { actorId } of vms) {
    const db = new DatabaseSync(join(dataDir, "databases", `${actorId}.db`));
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    db.close();
  }
  return vms.map(({ actorId }) => actorId);
}

beforeAll(async () => {
  ids = await write(KEYS);
});

test("a further backup shares the storage of VMs that have not changed, and both restore", async () => {
  expect(await make("first")).toMatchObject({ vms: 3, unchanged: 0 });
  const [changed = "", ...others] = ids;
  await write(["one"]);
  expect(await make("second", { base: join(folder, "first") })).toMatchObject({ vms: 3, unchanged: 2 });
  const inode = (name: string, id: string) => statSync(storageOf(name, id)).ino;
  for (const id of others) expect(inode("second", id)).toBe(inode("first", id));
  expect(inode("second", changed)).not.toBe(inode("first", changed));
  for (const name of ["first", "second"]) {
    const target = join(folder, `${name}-restored`);
    await restore({ backup: join(folder, name), dataDir: target, onProgress });
    expect(indexedIds(join(target, "vms.db"))).toEqual(new Set(ids));
  }
});

test("leaves out the tokens when asked to", async () => {
  expect(await make("no-tokens", { hasTokens: false })).toMatchObject({ tokens: false });
  expect(readdirSync(join(folder, "no-tokens")).sort()).toEqual([
    "alarms",
    "databases",
    "manifest.json",
    "state",
    "vms.db",
  ]);
});

test("refuses a folder that exists, data that is none, and a base that is no backup", async () => {
  const taken = join(folder, "taken");
  mkdirSync(taken);
  await expect(make("taken")).rejects.toMatchObject({ code: "invalid_argument" });
  const target = join(folder, "none");
  await expect(backUp({ dataDir: taken, target, hasTokens: true, onProgress })).rejects.toMatchObject({
    code: "invalid_argument",
  });
  await expect(make("none", { base: taken })).rejects.toMatchObject({ code: "invalid_backup" });
  expect(readdirSync(folder)).not.toContain("none");
  expect(readdirSync(folder)).not.toContain("none.unfinished");
});

test("a backup that fails leaves nothing, and says why as JSON if asked to", async () => {
  const broken = join(folder, "broken");
  cpSync(dataDir, broken, { recursive: true });
  for (const end of ["", "-wal", "-shm"]) writeFileSync(join(broken, `vms.db${end}`), "no database");
  const { code, stdout, stderr } = await runBackup(broken, join(folder, "failed"), "--json");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(JSON.parse(stderr)).toMatchObject({ error: { message: expect.stringContaining("database") } });
  expect(readdirSync(folder).filter((name) => name.startsWith("failed"))).toEqual([]);
});

test("begins again over what a killed backup has left", async () => {
  const draft = join(folder, "begun.unfinished");
  mkdirSync(join(draft, "state"), { recursive: true });
  writeFileSync(join(draft, "state", "0123456789abcdef"), "half");
  expect(await make("begun")).toMatchObject({ vms: 3 });
  expect(readdirSync(join(folder, "begun", "state")).sort()).toEqual([...ids].sort());
});

test("leaves alone what it has not made under the name of an unfinished backup", async () => {
  const other = join(folder, "other");
  mkdirSync(other);
  writeFileSync(join(other, "precious"), "kept");
  symlinkSync(other, join(folder, "linked.unfinished"));
  await expect(make("linked")).rejects.toMatchObject({ code: "invalid_argument" });
  cpSync(other, join(folder, "named.unfinished"), { recursive: true });
  await expect(make("named")).rejects.toMatchObject({ code: "invalid_argument" });
  expect(readFileSync(join(other, "precious"), "utf8")).toBe("kept");
  expect(readFileSync(join(folder, "named.unfinished", "precious"), "utf8")).toBe("kept");
});

test("copies a VM whose file in the earlier backup is damaged", async () => {
  await make("whole");
  const [id = ""] = ids;
  const path = join(folder, "whole", "databases", `${id}.db`);
  const content = readFileSync(path);
  content[content.length - 1] = (content.at(-1) ?? 0) ^ 1;
  writeFileSync(path, content);
  await make("next", { base: join(folder, "whole") });
  await restore({ backup: join(folder, "next"), dataDir: join(folder, "next-restored"), onProgress });
});

test("a VM that cannot be read is left out by name, and the exit code is 3", async () => {
  const [id = ""] = ids;
  const path = join(dataDir, "databases", `${id}.db`);
  const content = readFileSync(path);
  truncateSync(path, 4_096);
  const { code, stderr, stdout } = await runBackup(dataDir, join(folder, "incomplete"), "--json");
  writeFileSync(path, content);
  expect(code).toBe(3);
  expect(stderr).toContain(
    `the backup lacks the VM with the actor id ${id}: database disk image is malformed`,
  );
  expect(JSON.parse(stdout)).toMatchObject({ vms: 2, leftOut: [{ actorId: id }] });
  const target = join(folder, "incomplete-restored");
  await restore({ backup: join(folder, "incomplete"), dataDir: target, onProgress });
  expect(new Set(new ActorFiles(target).ids())).toEqual(new Set(ids.slice(1)));
  expect(indexedIds(join(target, "vms.db"))).toEqual(new Set(ids.slice(1)));
});

test("a VM that is destroyed and made again meanwhile is not missed", async () => {
  const [id = ""] = ids;
  const database = join(dataDir, "databases", `${id}.db`);
  const record = join(dataDir, "state", id);
  const [content, before] = [readFileSync(database), readFileSync(record)];
  truncateSync(database, 4_096);
  const result = await backUp({
    ...{ dataDir, target: join(folder, "remade"), hasTokens: true },
    onProgress: (done, of) => {
      if (done === of) writeFileSync(record, withCreation(before, Date.now()));
    },
  });
  writeFileSync(database, content);
  writeFileSync(record, before);
  expect(result).toMatchObject({ vms: 2, leftOut: [] });
});

/** An actor's record with another time of creation. */
function withCreation(record: Buffer, createdAt: number): Buffer {
  const was = Buffer.alloc(8);
  was.writeBigUInt64LE(BigInt(parseActor(record).createdAt));
  const changed = Buffer.from(record);
  changed.writeBigUInt64LE(BigInt(createdAt), record.indexOf(was));
  return changed;
}
