// @module-tag any-user
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { durableVm } from "../../support/durable-vm.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

function sharedVm() {
  const folder = testFolder();
  const machine = durableVm({ hostFolders: [{ path: folder, writable: true }] });
  const mount = (path: string, hostPath = folder) =>
    machine.vm().mountFs({ path, plugin: { id: "host_dir", config: { hostPath } }, readOnly: false });
  return { ...machine, folder, mount };
}

test.each(["sleep", "crash"] as const)(
  "mounts are there again before the first action after a %s",
  async (end) => {
    const { vm, folder, mount, [end]: stop } = sharedVm();
    mkdirSync(join(folder, "nested"));
    await mount("/mnt/host");
    await vm().mountFs({ path: "/mnt/host/nested", plugin: { id: "memory" } });
    await vm().exec("echo x > /mnt/host/by-vm; echo x > /mnt/host/nested/memory");
    const before = await vm().listMounts();
    await stop();
    expect(await vm().listMounts()).toEqual(before);
    expect(Buffer.from(await vm().readFile("/mnt/host/by-vm")).toString()).toBe("x\n");
    expect((await vm().exec("ls /mnt/host /mnt/host/nested")).stdout).toBe(
      "/mnt/host:\nby-vm\nnested\n\n/mnt/host/nested:\n",
    );
  },
);

test("a mount that was taken away stays away", async () => {
  const { vm, mount, sleep } = sharedVm();
  await mount("/mnt/host");
  await vm().unmountFs("/mnt/host");
  await sleep();
  expect(await vm().listMounts()).toEqual([]);
  expect((await vm().exec("grep -c /mnt/host /proc/mounts")).stdout).toBe("0\n");
});

test("a wake never repeats a change of a file in a mount", async () => {
  const { vm, folder, mount, crash } = sharedVm();
  await mount("/mnt/host");
  await vm().exec("ln -s /mnt/host /workspace/link");
  await vm().checkpoint();
  await vm().writeFile("/mnt/host/direct", "by the VM");
  await vm().writeFile("/workspace/link/linked", "by the VM");
  await vm().mkdir("/workspace/link/deep/er", { recursive: true });
  await vm().writeFile("/workspace/own", "own");
  for (const name of ["direct", "linked"]) writeFileSync(join(folder, name), "by the host");
  rmSync(join(folder, "deep"), { recursive: true });
  await crash();
  expect(Buffer.from(await vm().readFile("/workspace/own")).toString()).toBe("own");
  expect(readdirSync(folder).sort()).toEqual(["direct", "linked"]);
  for (const name of ["direct", "linked"])
    expect(readFileSync(join(folder, name), "utf8")).toBe("by the host");
  await vm().unmountFs("/mnt/host");
  expect(await vm().readdir("/mnt/host")).toEqual([]);
});

test("a link into a mount that a method deletes or moves stays so over a crash", async () => {
  const { vm, folder, mount, crash } = sharedVm();
  writeFileSync(join(folder, "file"), "x");
  await mount("/mnt/host");
  await vm().exec("ln -s /mnt/host/file deleted; ln -s /mnt/host/file moved", { cwd: "/workspace" });
  await vm().checkpoint();
  await vm().delete("/workspace/deleted");
  await vm().move("/workspace/moved", "/workspace/new");
  await crash();
  expect(await vm().readdir("/workspace")).toEqual(["new"]);
  expect(readFileSync(join(folder, "file"), "utf8")).toBe("x");
});

test("a move out of a mount survives a crash", async () => {
  const { vm, folder, mount, crash } = sharedVm();
  await mount("/mnt/host");
  writeFileSync(join(folder, "file"), "moved");
  await vm().move("/mnt/host/file", "/workspace/file");
  await crash();
  expect(Buffer.from(await vm().readFile("/workspace/file")).toString()).toBe("moved");
  expect(readdirSync(folder)).toEqual([]);
});

test("a mount that cannot be made again leaves its place empty and read-only, and says why", async () => {
  const { vm, test: machine, folder, mount, sleep } = sharedVm();
  mkdirSync(join(folder, "sub"));
  await mount("/mnt/host", join(folder, "sub"));
  await sleep();
  renameSync(join(folder, "sub"), join(folder, "gone"));
  expect(await failure(vm().writeFile("/mnt/host/x", "x"))).toMatchObject({ code: "EROFS" });
  expect((await vm().exec("touch /mnt/host/x")).exitCode).not.toBe(0);
  const [listed] = await vm().listMounts();
  expect(listed?.error).toMatch(/ENOENT/);
  expect(machine().events.some(({ name }) => name === "vmBooted")).toBe(true);
  await vm().unmountFs("/mnt/host");
  await vm().writeFile("/mnt/host/x", "x");
  await sleep();
  renameSync(join(folder, "gone"), join(folder, "sub"));
  await mount("/mnt/host", join(folder, "sub"));
});

test("a mount that cannot be stored is taken away again", async () => {
  let fails = false;
  const store = faultyStore(new MemoryStore(), (_call, method) =>
    fails && method === "put" ? "error" : "none",
  );
  const { vm } = startVm({}, undefined, { store });
  await vm.exec("true");
  await vm.checkpoint();
  fails = true;
  expect(await failure(vm.mountFs({ path: "/mnt/m", plugin: { id: "memory" } }))).toMatchObject({
    code: "storage_failed",
  });
  fails = false;
  expect(await vm.listMounts()).toEqual([]);
  expect((await vm.exec("grep -c /mnt/m /proc/mounts")).stdout).toBe("0\n");
});

test("checkpoints, archives and snapshots leave out files of mounts", async () => {
  const { vm, folder, mount, sleep } = sharedVm();
  writeFileSync(join(folder, "big"), new Uint8Array(1024 * 1024));
  await mount("/mnt/host");
  const { id: snapshotId } = await vm().createSnapshot();
  await vm().exec("echo x > /mnt/host/changed; echo y > /workspace/changed");
  expect(await vm().diff(snapshotId)).toMatchObject([{ path: "/workspace/changed" }]);
  expect((await vm().exportTar("/mnt")).length).toBeLessThan(20_000);
  expect(await failure(vm().exportTar("/mnt/host"))).toMatchObject({ code: "EXDEV" });
  expect(await failure(vm().importTar(await vm().exportTar("/workspace"), "/mnt/host"))).toMatchObject({
    code: "EROFS",
  });
  expect(await vm().undo(["/mnt/host/changed"])).toMatchObject([{ restored: 0 }]);
  expect(readFileSync(join(folder, "changed"), "utf8")).toBe("x\n");
  await vm().restoreSnapshot(snapshotId);
  expect((await vm().exec("ls /mnt/host /workspace")).stdout).toBe(
    "/mnt/host:\nbig\nchanged\n\n/workspace:\n",
  );
  await sleep();
});
