// @module-tag any-user
import { expect, test } from "vitest";
import { MemoryStore, type Store } from "../../../src/runtime/store/store.ts";
import { MAX_FILE_WATCHES } from "../../../src/runtime/watches/limits.ts";
import { changesOf, run, watcherPids } from "../../support/file-changes.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("paths follow the rules of the file methods, and must lead to the VM's own files", async () => {
  const { vm } = startVm();
  await vm.exec("touch file; ln -s loop loop; ln -s none dangling", {
    cwd: "/workspace",
  });
  const codes: Record<string, string> = {};
  const paths = [
    "relative",
    "/workspace/../x",
    "/workspace/none",
    "/workspace/dangling",
    "/workspace/file/x",
  ];
  const others = ["/workspace/file/", "/workspace/loop", "/usr", "/usr/bin", "/proc"];
  for (const path of [...paths, ...others]) codes[path] = String((await failure(vm.watchFiles(path))).code);
  expect(codes).toEqual({
    relative: "invalid_argument",
    "/workspace/../x": "invalid_argument",
    "/workspace/none": "ENOENT",
    "/workspace/dangling": "ENOENT",
    "/workspace/file/x": "ENOTDIR",
    "/workspace/file/": "ENOTDIR",
    "/workspace/loop": "ELOOP",
    "/usr": "EXDEV",
    "/usr/bin": "EXDEV",
    "/proc": "EXDEV",
  });
  expect((await failure(vm.watchFiles("/workspace/none"))).message).toBe(
    "ENOENT: no such file or directory, lstat '/workspace/none'",
  );
  expect(await vm.listWatches()).toEqual([]);
  await expect.poll(watcherPids).toEqual([]);
});

test("watches a VM's whole tree, without its mounts", async () => {
  const machine = startVm();
  const id = await machine.vm.watchFiles("/", { recursive: true, exclude: ["tmp"] });
  await run(machine, id, ": > /tmp/x; : > /home/user/file", "end");
  expect(changesOf(machine, id)).toEqual(["created /home/agentos/file", "created /workspace/end/"]);
});

test("refuses a watch above MAX_FILE_WATCHES", async () => {
  const machine = startVm();
  const { vm } = machine;
  const first = await vm.watchFiles("/workspace", { recursive: true });
  for (let count = 1; count < MAX_FILE_WATCHES; count++) await vm.watchFiles("/workspace");
  expect(await failure(vm.watchFiles("/workspace"))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_FILE_WATCHES", value: MAX_FILE_WATCHES },
  });
  await vm.unwatchFiles(first);
  const again = await vm.watchFiles("/workspace");
  await run(machine, again, ": > file", "end");
  expect(changesOf(machine, again)).toEqual(["created /workspace/file", "created /workspace/end/"]);
});

test("a watch that cannot be stored is not started", async () => {
  const memory = new MemoryStore();
  let broken = false;
  const store: Store = {
    get: (keys) => memory.get(keys),
    put: (entries) => (broken ? Promise.reject(new Error("the disk is full")) : memory.put(entries)),
    delete: (keys) => memory.delete(keys),
    deleteRange: (from, to) => memory.deleteRange(from, to),
    list: (prefix, options) => memory.list(prefix, options),
  };
  const { vm } = startVm({}, undefined, { store });
  await vm.boot();
  broken = true;
  expect(await failure(vm.watchFiles("/workspace"))).toMatchObject({ code: "storage_failed" });
  broken = false;
  expect(await vm.listWatches()).toEqual([]);
  await expect.poll(watcherPids).toEqual([]);
});

test("a memory VM refuses watches", async () => {
  const { vm } = startVm({ runtime: "memory" });
  await vm.writeFile("/workspace/file", "x");
  expect(await failure(vm.watchFiles("/workspace/file"))).toMatchObject({ code: "not_supported" });
});
