// @module-tag slow
import { expect, test } from "vitest";
import type { StoreEntry } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { testRows } from "../../support/rows.ts";
import { failure } from "../../support/until.ts";

/** A sleeping VM with two files, each in its own pack. */
async function asleep() {
  const machine = durableVm();
  await machine.vm().exec("head -c 400000 /dev/urandom > /workspace/first");
  await machine.vm().checkpoint();
  await machine
    .vm()
    .exec(
      "head -c 400000 /dev/urandom > /workspace/second; mkdir /workspace/dir; echo small > /workspace/dir/small",
    );
  await machine.sleep();
  const packs = (await machine.store.list("fs/pack/")).map(([key]) => key);
  return { machine, packs };
}

const flipped = ([key, value]: StoreEntry): StoreEntry => {
  const changed = value.slice();
  changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 0xff;
  return [key, changed];
};

testRows(
  [
    [
      "missing",
      async (machine: Awaited<ReturnType<typeof asleep>>["machine"], key: string) =>
        machine.store.delete([key]),
    ],
    [
      "corrupt",
      async (machine: Awaited<ReturnType<typeof asleep>>["machine"], key: string) => {
        const [value] = await machine.store.get([key]);
        await machine.store.put([flipped([key, value ?? new Uint8Array()])]);
      },
    ],
  ] as const,
  1,
)("content that is %s makes the files read-only, and is left out only on demand", async (_what, harm) => {
  const { machine, packs } = await asleep();
  await harm(machine, packs.at(-1) as string);
  const stored = await machine.store.list("fs/");
  const lost = expect.arrayContaining(["/workspace/second", "/workspace/dir/small"]);
  expect(await machine.vm().readdir("/workspace")).toEqual(["dir", "first"]);
  expect(await machine.test().event("filesReadOnly")).toMatchObject({ files: lost });
  expect((await machine.vm().exec("sha256sum < /workspace/first")).exitCode).toBe(0);
  const refused = { code: "files_read_only", metadata: { files: lost } };
  expect(await failure(machine.vm().writeFile("/workspace/new", "text"))).toMatchObject(refused);
  expect(await failure(machine.vm().checkpoint())).toMatchObject(refused);
  expect(await failure(machine.vm().undo(["/workspace"]))).toMatchObject(refused);
  expect(await machine.vm().exec("echo text > /workspace/new")).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("Read-only file system"),
  });
  expect((await machine.vm().exportTar("/workspace")).length).toBeGreaterThan(400_000);
  await machine.sleep();
  // Nothing that is kept is overwritten.
  expect(await machine.store.list("fs/")).toEqual(stored);
  expect(await failure(machine.vm().restore())).toMatchObject({ code: "storage_damaged" });
  await machine.vm().restore({ allowMissing: true });
  expect(await machine.vm().exists("/workspace/second")).toBe(false);
  expect((await machine.vm().stat("/workspace/first")).size).toBe(400_000);
  await machine.vm().writeFile("/workspace/new", "text");
  await machine.sleep();
  expect(await machine.vm().readdir("/workspace")).toEqual(["dir", "first", "new"]);
});

test("a damaged head fails the boot with a clear error", async () => {
  const { machine } = await asleep();
  const [entry] = await machine.store.list("fs/head");
  await machine.store.put([flipped(entry as StoreEntry)]);
  expect(await failure(machine.vm().exec("ls"))).toMatchObject({
    code: "storage_damaged",
    message: expect.stringMatching(/^The VM's stored files are damaged: /),
  });
});

testRows([["fs/page/"], ["fs/root/"]], 1)(
  "a damaged %s makes the files read-only, and a snapshot replaces them",
  async (prefix) => {
    const { machine } = await asleep();
    const { id } = await machine.vm().createSnapshot("good");
    await machine.vm().writeFile("/workspace/later", "text");
    await machine.sleep();
    const before = new Set((await machine.store.list("fs/page/")).map(([key]) => key));
    for (const entry of (await machine.store.list(prefix)).slice(-1))
      await machine.store.put([flipped(entry)]);
    expect(before.size).toBeGreaterThan(0);
    expect(await failure(machine.vm().mkdir("/workspace/new"))).toMatchObject({ code: "files_read_only" });
    expect((await machine.vm().exec("echo alive")).stdout).toBe("alive\n");
    expect(await machine.vm().listSnapshots()).toHaveLength(1);
    await machine.vm().restoreSnapshot(id);
    expect(await machine.vm().readdir("/workspace")).toEqual(["dir", "first", "second"]);
    await machine.vm().writeFile("/workspace/new", "text");
  },
);

test("files that do not fit into a smaller VM make it read-only, and a larger VM has them all", async () => {
  const small = { limits: { filesystemBytes: 16 * 1024 * 1024 } };
  const { store, ...large } = durableVm();
  await large.vm().exec("head -c 1000 /dev/urandom > a; head -c 30M /dev/urandom > b", { cwd: "/workspace" });
  await large.sleep();
  const machine = durableVm(small, store);
  expect(await machine.vm().readdir("/workspace")).toEqual(["a"]);
  expect(await failure(machine.vm().writeFile("/workspace/c", "text"))).toMatchObject({
    code: "files_read_only",
    message: expect.stringContaining("ENOSPC"),
    metadata: { files: ["/workspace/b"] },
  });
  await machine.sleep();
  const again = durableVm({}, store);
  expect((await again.vm().stat("/workspace/b")).size).toBe(30 * 1024 * 1024);
});

test("a damaged record of the journal makes the files read-only, unless allowMissing is set", async () => {
  const machine = durableVm({ runtime: "memory" });
  for (const name of ["a", "b", "c"])
    await machine.vm().writeFile(`/workspace/${name}`, `content of ${name}`);
  await machine.crash();
  const [, second] = await machine.store.list("fs/journal/");
  await machine.store.put([flipped(second as StoreEntry)]);
  expect(await machine.vm().readdir("/workspace")).toEqual(["a", "c"]);
  expect(await failure(machine.vm().delete("/workspace/a"))).toMatchObject({ code: "files_read_only" });
  await machine.vm().restore({ allowMissing: true });
  expect(await machine.vm().readdir("/workspace")).toEqual(["a", "c"]);
  await machine.vm().delete("/workspace/a");
});

test("a damaged note of garbage is skipped", async () => {
  const { machine } = await asleep();
  await machine.store.put([["fs/garbage/000000000001/0000", Buffer.from('{"packs":[0,')]]);
  expect(await machine.vm().exists("/workspace/first")).toBe(true);
  expect(await machine.store.list("fs/garbage/")).toEqual([]);
});

test("files of a newer format are refused with storage_too_new and left unchanged", async () => {
  const { machine } = await asleep();
  const [head] = await machine.store.get(["fs/head"]);
  const newer = { ...JSON.parse(Buffer.from(head ?? []).toString()), version: 4, somethingNew: true };
  await machine.store.put([["fs/head", Buffer.from(JSON.stringify(newer))]]);
  const stored = await machine.store.list("fs/");
  const error = await failure(machine.vm().readdir("/workspace"));
  expect(error).toMatchObject({
    code: "storage_too_new",
    message: "The VM's files are stored in format 4. This server reads formats up to 3",
    metadata: { format: 4, supported: 3 },
  });
  expect(await failure(machine.vm().restore({ allowMissing: true }))).toMatchObject({
    code: "storage_too_new",
  });
  await machine.sleep();
  expect(await machine.store.list("fs/")).toEqual(stored);
});
