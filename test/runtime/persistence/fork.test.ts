import { expect, test } from "vitest";
import { receiveFork } from "../../../src/runtime/persistence/fork.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";

/** Files whose records take several reads. */
const FILES = "head -c 9000000 /dev/urandom > large; for i in $(seq 300); do echo $i > f$i; done";

test("a fork that breaks off at any record leaves an empty VM; a whole fork has all files", {
  tags: ["slow"],
}, async () => {
  const original = durableVm();
  await original.vm().exec(FILES, { cwd: "/workspace" });
  const sums = "sha256sum /workspace/* | sha256sum";
  const before = (await original.vm().exec(sums)).stdout;
  let readings = 0;
  await original.vm().withForkSource((source) =>
    receiveFork(new MemoryStore(), async (from) => {
      readings += 1;
      return await source.read(from);
    }),
  );
  expect(readings).toBeGreaterThan(3);
  for (let broken = 0; broken < readings; broken++) {
    const store = new MemoryStore();
    let reading = 0;
    const outcome = original.vm().withForkSource((source) =>
      receiveFork(store, async (from) => {
        if (reading++ === broken) throw new Error("gone");
        return await source.read(from);
      }),
    );
    expect(await failure(outcome)).toMatchObject({ message: "gone" });
    const fresh = durableVm({}, store);
    expect(await fresh.vm().readdir("/workspace")).toEqual([]);
    await fresh.vm().writeFile("/workspace/own", "1");
    await fresh.crash();
    expect(await fresh.vm().readdir("/workspace")).toEqual(["own"]);
    await fresh.crash();
  }
  const store = new MemoryStore();
  await original.vm().withForkSource((source) => receiveFork(store, (from) => source.read(from)));
  await original.vm().exec("rm /workspace/*");
  await original.vm().checkpoint();
  const copy = durableVm({}, store);
  expect((await copy.vm().exec(sums)).stdout).toBe(before);
  await copy.vm().exec("echo more > /workspace/more");
  await copy.sleep();
  expect((await copy.vm().exec(`rm /workspace/more; ${sums}`)).stdout).toBe(before);
  await Promise.all([copy.crash(), original.crash()]);
});

test("checkpoints and moves wait while a fork is read; other file methods do not", async () => {
  const original = durableVm();
  await original.vm().writeFile("/workspace/a", "1");
  const order: string[] = [];
  const { promise: reading, resolve: begun } = Promise.withResolvers<void>();
  const { promise: go, resolve: end } = Promise.withResolvers<void>();
  const store = new MemoryStore();
  const forking = original.vm().withForkSource(async (source) => {
    begun();
    await go;
    await receiveFork(store, (from) => source.read(from));
    order.push("forked");
  });
  await reading;
  await original.vm().writeFile("/workspace/a", "2");
  await original.vm().delete("/workspace/a");
  order.push("deleted");
  const checkpoint = original
    .vm()
    .checkpoint()
    .then(() => order.push("checkpoint"));
  end();
  await Promise.all([forking, checkpoint]);
  expect(order).toEqual(["deleted", "forked", "checkpoint"]);
  const copy = durableVm({}, store);
  expect(Buffer.from(await copy.vm().readFile("/workspace/a")).toString()).toBe("1");
  await Promise.all([copy.crash(), original.crash()]);
});

test("a read from an invalid record number is refused", async () => {
  const original = durableVm();
  await original.vm().withForkSource(async (source) => {
    for (const from of [-1, 0.5, 1e9, Number.NaN]) {
      expect(await failure(source.read(from))).toMatchObject({ code: "invalid_argument" });
    }
  });
  await original.crash();
});
