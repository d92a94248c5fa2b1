import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { until } from "../../support/until.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("paths that match persistence.exclude are not stored", async () => {
  const machine = durableVm({
    persistence: { exclude: ["/workspace/**/node_modules", "/home/agentos/.cache"] },
  });
  await machine
    .vm()
    .exec(
      "mkdir -p /workspace/a/node_modules/x /home/agentos/.cache /workspace/kept; touch /workspace/a/node_modules/x/y /workspace/a/z",
    );
  await machine.sleep();
  const { stdout } = await machine.vm().exec("find /workspace /home/agentos | sort");
  expect(stdout).toBe("/home/agentos\n/workspace\n/workspace/a\n/workspace/a/z\n/workspace/kept\n");
});

test("files of a command are stored soon after its end", async () => {
  const machine = durableVm();
  await machine.vm().exec("echo one > /workspace/file");
  await until(async () => (await machine.store.list("fs/head")).length === 1);
  await machine.crash();
  expect(text(await machine.vm().readFile("/workspace/file"))).toBe("one\n");
});

test("checkpoints are taken regularly while a process runs", async () => {
  const machine = durableVm({ checkpoint: { intervalMs: 200 } });
  await machine
    .vm()
    .spawn("bash", ["-c", "for i in $(seq 1000); do echo $i > /workspace/count; sleep 0.05; done"]);
  const generation = async () => {
    const [head] = await machine.store.get(["fs/head"]);
    return head === undefined ? 0 : (JSON.parse(text(head)) as { generation: number }).generation;
  };
  await until(async () => (await generation()) >= 3);
  await machine.crash();
  expect(Number(text(await machine.vm().readFile("/workspace/count")))).toBeGreaterThan(0);
});

test("a checkpoint does not read unchanged files, and equal content is stored once", async () => {
  const machine = durableVm();
  const vm = machine.vm();
  const sizeOf = async () =>
    (await machine.store.list("fs/pack/")).reduce((sum, [, value]) => sum + value.byteLength, 0);
  await vm.exec("head -c 1000000 /dev/urandom > /workspace/a");
  await vm.checkpoint();
  const once = await sizeOf();
  await vm.exec("cp /workspace/a /workspace/b; mv /workspace/a /workspace/c");
  await vm.checkpoint();
  expect(await sizeOf()).toBeLessThan(once + 1000);
  const head = await machine.store.get(["fs/head"]);
  await vm.checkpoint();
  expect(await machine.store.get(["fs/head"])).toEqual(head);
});

test("a file too large for the journal is durable when writeFile resolves", async () => {
  const machine = durableVm();
  const content = new Uint8Array(3_000_000).map((_, index) => (index * 7919) >> 3);
  await machine.vm().writeFile("/workspace/large", content);
  const { transferId } = await machine.vm().beginFileWrite("/workspace/piece", 3);
  await machine.vm().writeFileChunk(transferId, 0, new Uint8Array([1, 2, 3]));
  await machine.vm().commitFileWrite(transferId);
  await machine.crash();
  expect(await machine.vm().readFile("/workspace/large")).toEqual(content);
  expect(await machine.vm().readFile("/workspace/piece")).toEqual(new Uint8Array([1, 2, 3]));
});

test("the files of a memory VM are stored", async () => {
  const machine = durableVm({ runtime: "memory" });
  await machine.vm().writeFile("/workspace/a/b", "text");
  await machine.vm().mkdir("/workspace/empty");
  await machine
    .vm()
    .delete("/etc/hosts")
    .catch(() => undefined);
  await machine.crash();
  expect(text(await machine.vm().readFile("/workspace/a/b"))).toBe("text");
  await machine.sleep();
  expect(await machine.vm().readdir("/workspace")).toEqual(["a", "empty"]);
});
