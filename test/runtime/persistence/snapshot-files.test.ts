import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("a snapshot's file is read as it was, also of a VM that sleeps, and nothing boots", async () => {
  const machine = durableVm();
  await machine
    .vm()
    .exec(
      "echo one > file; chmod 640 file; ln -s file link; mkdir dir; head -c 700000 /dev/urandom > large",
      {
        cwd: "/workspace",
      },
    );
  const large = await machine.vm().readFile("/workspace/large");
  const { id } = await machine.vm().createSnapshot("first");
  await machine.vm().exec("echo two > file; rm large link; echo more > new", { cwd: "/workspace" });
  const { id: later } = await machine.vm().createSnapshot("second");
  await machine.sleep();

  const vm = machine.vm();
  expect((await vm.listSnapshots()).map(({ name }) => name)).toEqual(["first", "second"]);
  const { content, ...file } = await vm.readSnapshotFile(id, "/workspace/file");
  expect(file).toEqual({ type: "file", size: 4, mode: 0o640, mtimeMs: expect.any(Number) });
  expect(text(content)).toBe("one\n");
  expect(text((await vm.readSnapshotFile(later, "/workspace/file")).content)).toBe("two\n");
  const link = await vm.readSnapshotFile(id, "/workspace/link");
  expect([link.type, link.size, text(link.content)]).toEqual(["symlink", 4, "file"]);
  // Over the border of two chunks, at the end, and behind the end.
  for (const [offset, length] of [
    [131_000, 200],
    [0, 4_000_000],
    [699_990, 100],
    [700_001, 5],
  ] as const) {
    const part = await vm.readSnapshotFile(id, "/workspace/large", { offset, length });
    expect(part.size).toBe(700_000);
    expect(Buffer.from(part.content).equals(large.subarray(offset, offset + length))).toBe(true);
  }
  expect(await vm.diffSnapshots(id, later)).toEqual([
    { path: "/workspace/file", change: "modified", type: "file", size: 4 },
    { path: "/workspace/new", change: "added", type: "file", size: 5 },
    { path: "/workspace/large", change: "deleted", type: "file", size: 700_000 },
    { path: "/workspace/link", change: "deleted", type: "symlink", size: 0 },
  ]);
  for (const [path, code] of [
    ["/workspace/dir", "EISDIR"],
    ["/", "ENOENT"],
    ["/workspace/new", "ENOENT"],
    ["/workspace/link/x", "ENOENT"],
    ["/workspace/../etc/passwd", "invalid_argument"],
    ["workspace/file", "invalid_argument"],
  ] as const)
    expect(await failure(vm.readSnapshotFile(id, path))).toMatchObject({ code });
  expect(await failure(vm.readSnapshotFile("snap-0", "/workspace/file"))).toMatchObject({
    code: "snapshot_not_found",
  });
  expect(await failure(vm.diffSnapshots(id, "snap-0"))).toMatchObject({ code: "snapshot_not_found" });
  expect((await vm.status()).state).toBe("sleeping");
});

test("each file of a snapshot is found in a tree of many pages, with long paths and holes", async () => {
  const machine = durableVm();
  const deep = Array.from({ length: 6 }, () => "d".repeat(200)).join("/");
  await machine.vm().exec(
    `for d in 9 a B _; do mkdir $d; for i in $(seq 150); do echo $d $i > $d/f$i; done; done;
       mkdir -p ${deep}; for i in $(seq 300); do echo deep $i > ${deep}/$i; done; truncate -s 3000000 sparse; echo end >> sparse`,
    { cwd: "/workspace" },
  );
  const { id } = await machine.vm().createSnapshot();
  const read = async (path: string) =>
    text((await machine.vm().readSnapshotFile(id, `/workspace/${path}`)).content);
  const list = machine.store.list.bind(machine.store);
  let pages = 0;
  machine.store.list = (prefix, options) => {
    if (prefix.startsWith("fs/page/")) pages += 1;
    return list(prefix, options);
  };
  expect(await read("a/f100")).toBe("a 100\n");
  expect(pages).toBe(1);
  for (const [directory, step] of [
    ["9", 1],
    ["a", 7],
    ["B", 7],
    ["_", 1],
  ] as const)
    for (let at = 1; at <= 150; at += step)
      expect(await read(`${directory}/f${at}`)).toBe(`${directory} ${at}\n`);
  for (const at of [1, 60, 299, 300]) expect(await read(`${deep}/${at}`)).toBe(`deep ${at}\n`);
  const { content } = await machine
    .vm()
    .readSnapshotFile(id, "/workspace/sparse", { offset: 2_999_998, length: 100 });
  expect(text(content)).toBe("\0\0end\n");
});

test("a reader of a snapshot that is deleted meanwhile gets snapshot_not_found", async () => {
  const machine = durableVm();
  await machine.vm().writeFile("/workspace/file", "content");
  const { id } = await machine.vm().createSnapshot();
  await machine.vm().writeFile("/workspace/file", "another content");
  await machine.vm().checkpoint();
  const list = machine.store.list.bind(machine.store);
  let isDeleted = false;
  machine.store.list = async (prefix, options) => {
    if (prefix.startsWith("fs/page/") && !isDeleted) {
      isDeleted = true;
      await machine.vm().deleteSnapshot(id);
    }
    return await list(prefix, options);
  };
  expect(await failure(machine.vm().readSnapshotFile(id, "/workspace/file"))).toMatchObject({
    code: "snapshot_not_found",
  });
  expect(isDeleted).toBe(true);
});

test("snapshots of a VM without storage are no_storage", async () => {
  const { vm } = startVm({}, undefined, { store: undefined });
  for (const call of [
    vm.listSnapshots(),
    vm.readSnapshotFile("snap-0", "/x"),
    vm.diffSnapshots("snap-0", "snap-1"),
  ])
    expect(await failure(call)).toMatchObject({ code: "no_storage" });
});
