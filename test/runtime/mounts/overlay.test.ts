// @module-tag any-user
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";

/** A VM with an overlay of a folder of the host at /mnt/data. */
async function overlaid() {
  const folder = testFolder();
  mkdirSync(join(folder, "sub"));
  writeFileSync(join(folder, "kept"), "kept\n");
  writeFileSync(join(folder, "deleted"), "deleted\n");
  writeFileSync(join(folder, "sub/changed"), "base\n");
  const machine = durableVm({ hostFolders: [{ path: folder }] });
  await machine.vm().mountFs({ path: "/mnt/data", plugin: { id: "overlay", config: { hostPath: folder } } });
  const read = async (path: string) => Buffer.from(await machine.vm().readFile(path)).toString();
  return { ...machine, folder, read };
}

const CHANGE = "rm deleted; echo vm > sub/changed; echo new > new; mkdir dir; echo x > dir/file";
const LOOK = "find . -type f | sort; cat kept sub/changed";
const CHANGED = "./dir/file\n./kept\n./new\n./sub/changed\nkept\nvm\n";
const BASE = "./deleted\n./kept\n./sub/changed\nkept\nbase\n";
const cwd = "/mnt/data";

test.each(["sleep", "crash"] as const)(
  "the VM keeps its changes over a %s, and the base stays as it is",
  async (end) => {
    const { vm, folder, read, [end]: stop } = await overlaid();
    await vm().exec(CHANGE, { cwd });
    await vm().writeFile("/mnt/data/by-method", "method");
    await vm().delete("/mnt/data/by-method");
    await vm().checkpoint();
    await stop();
    expect((await vm().exec(LOOK, { cwd })).stdout).toBe(CHANGED);
    expect(await read("/mnt/data/sub/changed")).toBe("vm\n");
    expect(readFileSync(join(folder, "sub/changed"), "utf8")).toBe("base\n");
    expect(readFileSync(join(folder, "deleted"), "utf8")).toBe("deleted\n");
  },
);

test("a file that a method writes to an overlay survives a crash", async () => {
  const { vm, read, crash } = await overlaid();
  await vm().writeFile("/mnt/data/sub/changed", "method");
  await vm().delete("/mnt/data/deleted");
  await crash();
  expect(await read("/mnt/data/sub/changed")).toBe("method");
  expect(await vm().exists("/mnt/data/deleted")).toBe(false);
});

test("a directory that was deleted and made again does not show the base's files, also after a wake", async () => {
  const { vm, sleep } = await overlaid();
  await vm().exec("rm -r sub && mkdir sub && echo new > sub/new", { cwd });
  await sleep();
  expect((await vm().exec("ls sub", { cwd })).stdout).toBe("new\n");
});

test("diff names the changes at the path of the overlay", async () => {
  const { vm } = await overlaid();
  const { id } = await vm().createSnapshot();
  await vm().exec(CHANGE, { cwd });
  const changes = (await vm().diff(id)).map(({ path, change, type }) => [path, change, type].join(" "));
  expect(changes.sort()).toEqual([
    "/mnt/data/deleted deleted file",
    "/mnt/data/dir added directory",
    "/mnt/data/dir/file added file",
    "/mnt/data/new added file",
    "/mnt/data/sub/changed modified file",
  ]);
});

test("a snapshot's file is read at the path of the overlay, and a deleted file of the base is not there", async () => {
  const { vm, sleep } = await overlaid();
  await vm().exec(CHANGE, { cwd });
  const { id } = await vm().createSnapshot();
  await sleep();
  expect((await vm().readSnapshotFile(id, "/mnt/data/sub/changed")).type).toBe("file");
  expect(await failure(vm().readSnapshotFile(id, "/mnt/data/deleted"))).toMatchObject({ code: "ENOENT" });
  expect((await vm().status()).state).toBe("sleeping");
});

test("diff tells nothing about files of the host outside of the base", async () => {
  const { vm, folder } = await overlaid();
  const outside = testFolder();
  writeFileSync(join(outside, "there"), "secret");
  symlinkSync(outside, join(folder, "link"));
  const { id } = await vm().createSnapshot();
  const upper = "/var/lib/agentos/overlays/*/upper";
  await vm().exec(
    `cd ${upper} && mkdir link && echo x > link/there && ln -s '(agent-vm: deleted)' link/none`,
  );
  await vm().exec(`cd ${upper}/link && mkdir d && ln -s '(agent-vm: deleted)' d/there`);
  const changes = (await vm().diff(id)).map(({ path, change }) => `${path} ${change}`).sort();
  expect(changes).toEqual([
    "/mnt/data/link modified",
    "/mnt/data/link/d added",
    "/mnt/data/link/there added",
  ]);
});

test("undo puts files of an overlay back, while programs run", async () => {
  const { vm, sleep } = await overlaid();
  const { id } = await vm().createSnapshot();
  await vm().exec(CHANGE, { cwd });
  await vm().exec("ln -s x /mnt/data/link");
  const { pid } = await vm().spawn("sh", ["-c", "while :; do cat /mnt/data/kept > /dev/null; done"]);
  const results = await vm().undo(["/mnt/data/sub", "/mnt/data/deleted", "/mnt/data/new"], id);
  expect(results.map(({ path, error }) => [path, error])).toEqual([
    ["/mnt/data/sub", undefined],
    ["/mnt/data/deleted", undefined],
    ["/mnt/data/new", undefined],
  ]);
  const put = "./deleted\n./dir/file\n./kept\n./sub/changed\nkept\nbase\n";
  expect((await vm().exec(LOOK, { cwd })).stdout).toBe(put);
  await vm().killProcess(pid);
  await sleep();
  expect((await vm().exec(LOOK, { cwd })).stdout).toBe(put);
  await vm().undo(["/mnt/data"], id);
  expect((await vm().exec(LOOK, { cwd })).stdout).toBe(BASE);
});

test("restoreSnapshot brings an overlay back to the snapshot", async () => {
  const { vm } = await overlaid();
  const { id } = await vm().createSnapshot();
  await vm().exec(CHANGE, { cwd });
  const { id: changed } = await vm().createSnapshot();
  await vm().restoreSnapshot(id);
  expect((await vm().exec(LOOK, { cwd })).stdout).toBe(BASE);
  await vm().restoreSnapshot(changed);
  expect((await vm().exec(LOOK, { cwd })).stdout).toBe(CHANGED);
});

test("an overlay that is mounted again has the changes of before", async () => {
  const { vm, folder } = await overlaid();
  await vm().exec(CHANGE, { cwd });
  await vm().unmountFs("/mnt/data");
  expect(await vm().readdir("/mnt/data")).toEqual([]);
  await vm().mountFs({ path: "/mnt/data", plugin: { id: "overlay", config: { hostPath: folder } } });
  expect((await vm().exec(LOOK, { cwd })).stdout).toBe(CHANGED);
});

test("a read-only overlay cannot be changed", async () => {
  const { vm, folder } = await overlaid();
  await vm().mountFs({
    path: "/mnt/read",
    plugin: { id: "overlay", config: { hostPath: folder } },
    readOnly: true,
  });
  expect((await vm().exec("touch /mnt/read/x")).stderr).toContain("Read-only file system");
});
