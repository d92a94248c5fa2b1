import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("restoreSnapshot restores the files and ends all processes", async () => {
  const machine = durableVm();
  const vm = machine.vm();
  await vm.exec(
    "echo one > /workspace/file; mkdir /workspace/dir; echo x > /workspace/dir/x; ln -s file /workspace/link",
  );
  const first = await vm.createSnapshot("first");
  expect(first).toEqual({
    id: expect.stringMatching(/^snap-[0-9a-f]{16}$/),
    name: "first",
    createdAt: expect.any(Number),
    files: expect.any(Number),
    bytes: expect.any(Number),
  });
  await vm.exec("echo two > /workspace/file; rm -r /workspace/dir; echo y > /workspace/new");
  const second = await vm.createSnapshot();
  expect((await vm.listSnapshots()).map(({ id, name }) => [id, name])).toEqual([
    [first.id, "first"],
    [second.id, null],
  ]);
  const pid = await vm.spawnProcess("sleep", ["1001"]);
  await vm.restoreSnapshot(first.id);
  expect(await vm.waitProcess(pid)).toBe(137);
  const { stdout } = await vm.exec("pgrep -c sleep; cat file dir/x link; ls", { cwd: "/workspace" });
  expect(stdout).toBe("0\none\nx\none\ndir\nfile\nlink\n");
  await machine.crash();
  expect(text(await machine.vm().readFile("/workspace/file"))).toBe("one\n");
  await machine.vm().restoreSnapshot(second.id);
  expect(await machine.vm().readdir("/workspace")).toEqual(["file", "link", "new"]);
});

test("deleting all snapshots leaves only records of the VM's newest files", async () => {
  const machine = durableVm();
  const vm = machine.vm();
  const sizeOf = async () =>
    (await machine.store.list("fs/")).reduce((sum, [, value]) => sum + value.byteLength, 0);
  await vm.checkpoint();
  const empty = await sizeOf();
  const ids: string[] = [];
  for (let round = 0; round < 3; round++) {
    await vm.exec("head -c 300000 /dev/urandom > /workspace/random");
    ids.push((await vm.createSnapshot()).id);
  }
  expect(await sizeOf()).toBeGreaterThan(900_000);
  await vm.exec("rm /workspace/random");
  for (const id of ids) await vm.deleteSnapshot(id);
  await vm.checkpoint();
  expect(await sizeOf()).toBeLessThan(empty + 2000);
  expect(await failure(vm.restoreSnapshot(ids[0] ?? ""))).toMatchObject({ code: "snapshot_not_found" });
});

test("diff lists the changes since a snapshot by path", async () => {
  const vm = durableVm().vm();
  await vm.exec(
    "cd /workspace; echo 1 > same; echo 2 > content; echo 3 > mode; echo 4 > gone; mkdir dir; ln -s a link",
  );
  const { id } = await vm.createSnapshot();
  expect(await vm.diff(id)).toEqual([]);
  await vm.exec(
    "cd /workspace; echo more >> content; chmod 600 mode; rm gone; touch same; ln -sf b link; echo 5 > dir/new",
  );
  expect(await vm.diff(id)).toEqual([
    { path: "/workspace/content", change: "modified", type: "file", size: 7 },
    { path: "/workspace/link", change: "modified", type: "symlink", size: 0 },
    { path: "/workspace/mode", change: "mode", type: "file", size: 2 },
    { path: "/workspace/dir/new", change: "added", type: "file", size: 2 },
    { path: "/workspace/gone", change: "deleted", type: "file", size: 2 },
  ]);
  await vm.checkpoint();
  expect(await vm.diff()).toEqual([]);
});

test("undo restores the given paths only", async () => {
  const machine = durableVm();
  const vm = machine.vm();
  await vm.exec(
    "cd /workspace; mkdir -p a/b; echo 1 > a/one; echo 2 > a/b/two; chmod 640 a/one; ln -s one a/link; echo o > other",
  );
  const { id } = await vm.createSnapshot();
  await vm.exec(
    "cd /workspace; echo changed > a/one; rm -r a/b; rm a/link; mkdir a/link; echo new > a/new; echo o2 > other",
  );
  expect(await vm.undo(["/workspace/a", "/workspace/unknown", "/proc/1", "/workspace/other/x"], id)).toEqual([
    { path: "/workspace/a", restored: 5 },
    { path: "/workspace/unknown", restored: 0 },
    { path: "/proc/1", restored: 0, error: "Path is read-only: /proc/1" },
    { path: "/workspace/other/x", restored: 0 },
  ]);
  await machine.crash();
  const { stdout } = await machine
    .vm()
    .exec("find a -printf '%y %m %p %l\\n' | sort; cat a/one a/b/two other", {
      cwd: "/workspace",
    });
  expect(stdout).toBe("d 755 a \nd 755 a/b \nf 640 a/one \nf 644 a/b/two \nl 777 a/link one\n1\n2\no2\n");
});

test("snapshotRootFilesystem exports the VM's own tree without files of the host", async () => {
  const vm = durableVm().vm();
  await vm.exec(
    "cd /workspace; echo text > file; printf '\\377' > bytes; mkdir dir; ln -s file link; chmod 750 dir",
  );
  const { kind, source } = await vm.snapshotRootFilesystem();
  expect([kind, source.format]).toEqual(["snapshot-export", "agent-os-filesystem-snapshot-v1"]);
  const { entries } = source.filesystem;
  const owner = { uid: 1000, gid: 1000 };
  expect(entries.filter(({ path }) => path.startsWith("/workspace"))).toEqual([
    { path: "/workspace", type: "directory", mode: "0755", ...owner },
    { path: "/workspace/bytes", type: "file", mode: "0644", ...owner, content: "/w==", encoding: "base64" },
    { path: "/workspace/dir", type: "directory", mode: "0750", ...owner },
    { path: "/workspace/file", type: "file", mode: "0644", ...owner, content: "text\n", encoding: "utf8" },
    { path: "/workspace/link", type: "symlink", mode: "0777", ...owner, target: "file" },
  ]);
  expect(entries[0]).toEqual({ path: "/", type: "directory", mode: "0755", ...owner });
  expect(entries.filter(({ path }) => path.startsWith("/usr/"))).toEqual([]);
});
