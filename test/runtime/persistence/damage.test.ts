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

test("what a newer server has written is not touched", async () => {
  const { machine } = await asleep();
  const head = { version: 2, something: "else" };
  await machine.store.put([["fs/head", Buffer.from(JSON.stringify(head))]]);
  const before = (await machine.store.list("fs/")).length;
  expect(await failure(machine.vm().exec("ls"))).toMatchObject({
    code: "storage_damaged",
    message: "The VM's stored files are damaged: its format is 2, this server reads 1",
  });
  expect((await machine.store.list("fs/")).length).toBe(before);
});
