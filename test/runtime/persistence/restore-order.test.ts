import { expect, test } from "vitest";
import { prefixOf } from "../../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";

/** More packs than a reader caches. */
const CHECKPOINTS = 12;

test("a restore of a tree from many checkpoints reads each pack once", async () => {
  const store = new MemoryStore();
  const list = store.list.bind(store);
  const read: string[] = [];
  store.list = (prefix, options) => {
    if (prefix.startsWith(prefixOf("pack"))) read.push(prefix);
    return list(prefix, options);
  };
  const machine = durableVm({}, store);
  for (let round = 0; round < CHECKPOINTS; round++) {
    const name = String(round).padStart(2, "0");
    // In the order of the tree, neighbours are from different checkpoints.
    await machine.vm().exec(`cd /workspace; for i in 1 2 3 4 5 6; do echo $i ${name} > $i-${name}; done`);
    await machine.vm().checkpoint();
  }
  const content = "cd /workspace; cat *";
  const before = await machine.vm().exec(content);
  await machine.sleep();
  read.length = 0;
  expect(await machine.vm().exec(content)).toMatchObject({ stdout: before.stdout });
  expect(read.length).toBeGreaterThanOrEqual(CHECKPOINTS);
  expect(read.length).toBe(new Set(read).size);
});
