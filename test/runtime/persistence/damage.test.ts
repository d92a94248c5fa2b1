import { expect, test } from "vitest";
import type { StoreEntry } from "../../../src/runtime/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";

/** A VM asleep with two files, each in a pack of its own. */
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

test.each([
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
])("content that is %s is told by file, and left out only on demand", async (_what, harm) => {
  const { machine, packs } = await asleep();
  const last = packs.at(-1) as string;
  await harm(machine, last);
  const error = await failure(machine.vm().readdir("/workspace"));
  expect(error).toMatchObject({ code: "storage_damaged" });
  const { files } = (error as unknown as { metadata: { files: string[] } }).metadata;
  expect(files).toContain("/workspace/second");
  expect(files).not.toContain("/workspace/first");
  expect(error.message).toContain("/workspace/second");
  // Nothing is given up by that: every call fails until somebody decides.
  expect(await failure(machine.vm().exec("ls"))).toMatchObject({ code: "storage_damaged" });
  await machine.vm().restore({ allowMissing: true });
  expect(await machine.vm().exists("/workspace/second")).toBe(false);
  expect((await machine.vm().stat("/workspace/first")).size).toBe(400_000);
  await machine.sleep();
  expect(await machine.vm().exists("/workspace/first")).toBe(true);
});

test.each(["fs/page/", "fs/root/", "fs/head"])(
  "a damaged %s fails the boot with a clear error",
  async (prefix) => {
    const { machine } = await asleep();
    const [entry] = await machine.store.list(prefix);
    await machine.store.put([flipped(entry as StoreEntry)]);
    expect(await failure(machine.vm().exec("ls"))).toMatchObject({
      code: "storage_damaged",
      message: expect.stringMatching(/^The VM's stored files are damaged: /),
    });
  },
);

test("a damaged record of the journal fails the boot, and is passed over only on demand", async () => {
  const machine = durableVm({ runtime: "memory" });
  for (const name of ["a", "b", "c"])
    await machine.vm().writeFile(`/workspace/${name}`, `content of ${name}`);
  await machine.crash();
  const [, second] = await machine.store.list("fs/journal/");
  await machine.store.put([flipped(second as StoreEntry)]);
  expect(await failure(machine.vm().readdir("/workspace"))).toMatchObject({ code: "storage_damaged" });
  await machine.vm().restore({ allowMissing: true });
  expect(await machine.vm().readdir("/workspace")).toEqual(["a", "c"]);
});

test("a note of garbage that is damaged is passed over: at worst something is kept for nothing", async () => {
  const { machine } = await asleep();
  await machine.store.put([["fs/garbage/000000000001/0000", Buffer.from('{"packs":[0,')]]);
  expect(await machine.vm().exists("/workspace/first")).toBe(true);
  expect(await machine.store.list("fs/garbage/")).toEqual([]);
});

test("what a newer server has written is refused as such, and stays as it is", async () => {
  const { machine } = await asleep();
  const [head] = await machine.store.get(["fs/head"]);
  const newer = { ...JSON.parse(Buffer.from(head ?? []).toString()), version: 2, somethingNew: true };
  await machine.store.put([["fs/head", Buffer.from(JSON.stringify(newer))]]);
  const stored = await machine.store.list("fs/");
  const error = await failure(machine.vm().readdir("/workspace"));
  expect(error).toMatchObject({
    code: "storage_too_new",
    message: "The VM's files were stored in format 2, which this server does not read: it reads format 1",
    metadata: { format: 2, supported: 1 },
  });
  expect(await failure(machine.vm().restore({ allowMissing: true }))).toMatchObject({
    code: "storage_too_new",
  });
  await machine.sleep();
  expect(await machine.store.list("fs/")).toEqual(stored);
});
