// @module-tag any-user
// @module-tag attack
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { MountOptions } from "../../../src/api/methods/mounts.ts";
import { RootedFileSystem } from "../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { isRoot, openDescriptors, ownDescendants } from "../../support/host.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure, until } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const hostDir = (path: string, hostPath: string): MountOptions => ({
  path,
  plugin: { id: "host_dir", config: { hostPath } },
  readOnly: false,
});

test("a link on the way to a mount point is refused, and nothing is mounted where it leads", async () => {
  const folder = testFolder();
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.exec(
    "mkdir -p /workspace/target && ln -s /workspace/target /mnt/link && ln -s /proc/self/root /mnt/root",
  );
  for (const path of ["/mnt/link", "/mnt/link/below", "/mnt/root/workspace/target"])
    expect(await failure(vm.mountFs(hostDir(path, folder)))).toMatchObject({
      code: expect.stringMatching(/^(ELOOP|EACCES|ENOTDIR|EEXIST)$/),
    });
  expect((await vm.exec("grep -c ' /workspace/target\\| /mnt/' /proc/mounts")).stdout).toBe("0\n");
});

test("a program that swaps a mount point for a link gets no mount elsewhere", async () => {
  const folder = testFolder();
  writeFileSync(join(folder, "of-host"), "x");
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.exec("mkdir -p /mnt/swap /workspace/other");
  const race =
    "while :; do mv -T /mnt/swap /mnt/aside; ln -s /workspace/other /mnt/swap; rm /mnt/swap; mv -T /mnt/aside /mnt/swap; done 2> /dev/null";
  const { pid } = await vm.spawn("sh", ["-c", race]);
  for (let round = 0; round < 15; round++) {
    // The mount may have been made in a directory that then was moved, or in none.
    const made = await vm.mountFs(hostDir("/mnt/swap", folder)).then(
      () => true,
      () => false,
    );
    expect(await vm.readdir("/workspace/other")).toEqual([]);
    if (made) await vm.unmountFs("/mnt/swap");
  }
  await vm.killProcess(pid);
  expect((await vm.exec("ls /workspace/other; grep -c /workspace/other /proc/mounts")).stdout).toBe("0\n");
});

test("a program that moves the folder above a mount does not keep the mount from being taken away", async () => {
  const folder = testFolder();
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.mountFs(hostDir("/mnt/a/b", folder));
  await vm.exec("mv /mnt/a /mnt/moved && mkdir -p /mnt/a/b");
  expect((await vm.exec("rmdir /mnt/moved/b; mv /mnt/moved/b /mnt/x")).stderr).toContain("busy");
  await vm.writeFile("/mnt/a/b/own", "x");
  expect(readdirSync(folder)).toEqual([]);
  await vm.unmountFs("/mnt/a/b");
  expect((await vm.exec(`grep -c -e /mnt/moved -e ${folder} /proc/self/mountinfo`)).stdout).toBe("0\n");
});

const KINDS: Readonly<Record<string, (folder: string) => MountOptions>> = {
  "a folder": (folder) => hostDir("/mnt/a/b", folder),
  "a volume": () => ({ path: "/mnt/a/b", plugin: { id: "volume", config: { name: "one" } } }),
  memory: () => ({ path: "/mnt/a/b", plugin: { id: "memory" } }),
  "an overlay": (folder) => ({ path: "/mnt/a/b", plugin: { id: "overlay", config: { hostPath: folder } } }),
};

for (const [kind, mountOf] of Object.entries(KINDS)) {
  test(`a program that moves the folder above a mount just after it is made keeps no mount: ${kind}`, async () => {
    const folder = testFolder();
    const options = {
      hostFolders: [{ path: folder, writable: true }],
      volumes: [{ name: "one", exclusive: true }],
    };
    const run = { dataFolder: testFolder() };
    const make = () => startVm(options, undefined, { ...run, store: new MemoryStore() }).vm;
    const [first, second] = [make(), make()];
    const mounts = "grep -c ' /mnt/' /proc/self/mountinfo";
    const addMount = RootedFileSystem.prototype.addMount;
    const moved = vi.spyOn(RootedFileSystem.prototype, "addMount").mockImplementation(async function (
      this: RootedFileSystem,
      mount,
    ) {
      moved.mockRestore();
      // The mount is there, and the server looks for it only now.
      expect((await first.exec(`${mounts}; mv /mnt/a /mnt/moved && mkdir -p /mnt/a/b`)).stdout).toBe("1\n");
      return await addMount.call(this, mount);
    });
    onTestFinished(() => moved.mockRestore());
    expect(await failure(first.mountFs(mountOf(folder)))).toMatchObject({ code: "ESTALE" });
    expect((await first.exec(mounts)).stdout).toBe("0\n");
    expect(await first.listMounts()).toEqual([]);
    await second.mountFs(mountOf(folder));
    expect((await second.exec(mounts)).stdout).toBe("1\n");
    await first.exec("rm -r /mnt/moved");
  });
}

test("a VM that swaps a folder for a link, in a folder that it may write to, mounts nothing outside", async () => {
  const folder = testFolder();
  const outside = testFolder();
  writeFileSync(join(outside, "secret"), "secret");
  mkdirSync(join(folder, "sub"));
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.mountFs(hostDir("/mnt/all", folder));
  const race = `while :; do mv -T sub aside; ln -s ${outside} sub; rm sub; mv -T aside sub; done 2> /dev/null`;
  const { pid } = await vm.spawn("sh", ["-c", race], { cwd: "/mnt/all" });
  for (let round = 0; round < 15; round++) {
    const made = await vm.mountFs(hostDir("/mnt/sub", join(folder, "sub"))).then(
      () => true,
      () => false,
    );
    if (!made) continue;
    expect(await vm.readdir("/mnt/sub")).toEqual([]);
    await vm.unmountFs("/mnt/sub");
  }
  await vm.killProcess(pid);
  // A link is refused, whatever else the folder may be.
  rmSync(join(folder, "sub"), { recursive: true, force: true });
  symlinkSync(outside, join(folder, "sub"));
  expect(await failure(vm.mountFs(hostDir("/mnt/sub", join(folder, "sub"))))).toMatchObject({
    code: expect.stringMatching(/^(ELOOP|ENOTDIR)$/),
  });
});

test("a VM that replaces an allowed folder inside another one by a link mounts nothing outside", async () => {
  const folder = testFolder();
  const outside = testFolder();
  writeFileSync(join(outside, "secret"), "secret");
  mkdirSync(join(folder, "inner"));
  const inner = join(folder, "inner");
  const mounts = [hostDir("/mnt/inner", inner)];
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }, { path: inner }], mounts });
  await vm.mountFs(hostDir("/mnt/all", folder));
  await vm.exec(`mv inner aside && ln -s ${outside} inner`, { cwd: "/mnt/all" });
  const mount = { path: "/mnt/again", plugin: { id: "host_dir" as const, config: { hostPath: inner } } };
  expect(await failure(vm.mountFs(mount))).toMatchObject({
    code: expect.stringMatching(/^(ELOOP|ENOTDIR)$/),
  });
  const other = startVm({ mounts }).vm;
  expect((await other.exec("ls /mnt/inner")).stdout).toBe("");
  expect((await other.listMounts())[0]?.error).toContain("could not be made");
});

test("file methods do not leave a folder while a program swaps its directories for links", async () => {
  const folder = testFolder();
  const outside = testFolder();
  writeFileSync(join(outside, "file"), "untouched");
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.mountFs(hostDir("/mnt/host", folder));
  await vm.exec("mkdir dir", { cwd: "/mnt/host" });
  const race = `while :; do mv -T dir aside; ln -s ${outside} dir; rm dir; mv -T aside dir; done 2> /dev/null`;
  const { pid } = await vm.spawn("sh", ["-c", race], { cwd: "/mnt/host" });
  for (let round = 0; round < 100; round++) {
    await vm.writeFile("/mnt/host/dir/file", "changed").catch(() => undefined);
    const read = await vm.readFile("/mnt/host/dir/file").catch(() => Buffer.from("none"));
    expect(Buffer.from(read).toString()).not.toBe("untouched");
    await vm.delete("/mnt/host/dir/file").catch(() => undefined);
    await vm.delete("/mnt/host/dir", { recursive: true }).catch(() => undefined);
  }
  await vm.killProcess(pid);
  expect(readFileSync(join(outside, "file"), "utf8")).toBe("untouched");
});

test("a directory that the host moves out of the folder leads a program nowhere", async () => {
  const folder = testFolder();
  const outside = testFolder();
  writeFileSync(join(outside, "secret"), "secret");
  mkdirSync(join(folder, "dir"));
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.mountFs(hostDir("/mnt/host", folder));
  const { pid } = await vm.spawn("sh", ["-c", "cd dir; echo in; read -r line; cat ../secret; ls .."], {
    cwd: "/mnt/host",
  });
  const output = async () => {
    const chunks = (await vm.readProcessOutput(pid)).chunks.filter(({ stream }) => stream === "stdout");
    return Buffer.concat(chunks.map(({ data }) => data)).toString();
  };
  await until(async () => (await output()) === "in\n");
  renameSync(join(folder, "dir"), join(outside, "dir"));
  await vm.writeProcessStdin(pid, "\n");
  await vm.waitProcess(pid);
  expect(await output()).toBe("in\n");
});

test("no program of a VM mounts, unmounts, remounts or opens by handle", async ({ skip }) => {
  if (process.arch !== "x64") skip("the attack has the system calls of x64");
  const folder = testFolder();
  writeFileSync(join(folder, "file"), "x");
  const { vm } = startVm({ hostFolders: [{ path: folder }], seccomp: "none" });
  await vm.mountFs({ path: "/mnt/host", plugin: { id: "host_dir", config: { hostPath: folder } } });
  const program = `
    my %call = (umount2 => 166, mount => 165, open_tree => 428, mount_setattr => 442, move_mount => 429, fsopen => 430, unshare => 272);
    my ($path, $none, $type) = ("/mnt/host", "", "tmpfs");
    my $clear = pack("QQQQ", 0, 1, 0, 0);
    print "umount " if syscall(166, $path, 2) == 0;
    print "remount " if syscall(165, $none, $path, $none, 32 | 4096, $none) == 0;
    print "setattr " if syscall(442, -100, $path, 0, $clear, 32) == 0;
    print "tmpfs " if syscall(165, $type, $path, $type, 0, $none) == 0;
    print "clone " if syscall(428, -100, $path, 1) >= 0;
    my $handle = pack("LL", 128, 0) . ("\\0" x 128);
    my $id = "\\0" x 4;
    if (syscall(303, -100, $path, $handle, $id, 0) == 0) {
      open(my $dir, "<", "/mnt/host") ;
      print "handle " if syscall(304, -100, $handle, 0) >= 0;
    }
    print "done";
  `;
  await vm.writeFile("/workspace/attack.pl", program);
  expect((await vm.exec("perl /workspace/attack.pl")).stdout).toBe("done");
  expect((await vm.exec("cat /mnt/host/file; touch /mnt/host/new")).stderr).toContain("Read-only");
});

test("no program of a VM gets rights by a set-user-ID program or a device in a folder", async () => {
  const folder = testFolder();
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.mountFs(hostDir("/mnt/host", folder));
  await vm.exec("cp /usr/bin/id id && chmod 6755 id && mknod null c 1 3; mknod white c 0 0", {
    cwd: "/mnt/host",
  });
  expect((await vm.exec("./id -u", { cwd: "/mnt/host" })).stdout).toBe("1000\n");
  expect(readdirSync(folder)).not.toContain("null");
  if (isRoot) {
    writeFileSync(join(folder, "root-id"), readFileSync("/usr/bin/id"), { mode: 0o755 });
    chmodSync(join(folder, "root-id"), 0o4755);
    expect((await vm.exec("./root-id -u", { cwd: "/mnt/host" })).stdout).toBe("1000\n");
  }
});

test("a VM does not reach the volume or folder of another VM", async () => {
  const dataFolder = testFolder();
  const folder = testFolder();
  const options = { volumes: [{ name: "one" }], hostFolders: [{ path: folder, writable: true }] };
  const make = () => startVm(options, undefined, { dataFolder, store: new MemoryStore() }).vm;
  const [first, second] = [make(), make()];
  await first.mountFs({ path: "/mnt/volume", plugin: { id: "volume", config: { name: "one" } } });
  await first.mountFs(hostDir("/mnt/host", folder));
  await first.exec("echo secret > /mnt/volume/file; echo secret > /mnt/host/file");
  const look = `cat ${folder}/file ${dataFolder}/volumes/one/file /proc/1/root/mnt/volume/file /mnt/volume/file; ls /mnt`;
  expect((await second.exec(look)).stdout).toBe("");
  for (const name of ["..", "one/../..", "one/x", "", "."]) {
    const mount = { path: "/mnt/volume", plugin: { id: "volume" as const, config: { name } } };
    expect(await failure(second.mountFs(mount)), name).toMatchObject({
      code: expect.stringMatching(/^(mount_forbidden|invalid_argument)$/),
    });
  }
});

test("a hostile upper layer does not lead an overlay out of its base", async () => {
  const folder = testFolder();
  mkdirSync(join(folder, "base/dir"), { recursive: true });
  writeFileSync(join(folder, "secret"), "secret");
  writeFileSync(join(folder, "base/dir/file"), "base");
  const { vm } = startVm({ hostFolders: [{ path: join(folder, "base") }] });
  const overlay: MountOptions = {
    path: "/mnt/data",
    plugin: { id: "overlay", config: { hostPath: join(folder, "base") } },
  };
  await vm.mountFs(overlay);
  await vm.exec("touch /mnt/data/mine; mkdir /mnt/data/made");
  await vm.unmountFs("/mnt/data");
  const script = `
    cd /var/lib/agentos/overlays/*/upper || exit 1
    python3 - << 'END'
import os
for name, value in (("redirect", b"../secret"), ("metacopy", b""), ("origin", b"x" * 32), ("opaque", b"x")):
    for path in ("mine", "made"):
        try: os.setxattr(path, "user.overlay." + name, value)
        except OSError as error: print(error)
END
    ln -s ../../../../../../secret up; ln -s /proc/1/root root; mkdir -p deep; cd deep; for i in $(seq 60); do mkdir d; cd d; done
  `;
  await vm.exec(script);
  await vm.mountFs(overlay).catch(() => undefined);
  const { stdout } = await vm.exec(
    "cat mine made/* up root/secret; find . -maxdepth 2 | wc -l; cat dir/file",
    { cwd: "/mnt/data" },
  );
  expect(stdout).not.toContain("secret");
  expect(
    (await vm.exec("rm -rf /var/lib/agentos /run/agentos/overlays; ls /mnt/data > /dev/null; echo alive"))
      .stdout,
  ).toBe("alive\n");
  await vm.unmountFs("/mnt/data");
  await vm.mountFs(overlay);
  expect((await vm.exec("cat /mnt/data/dir/file")).stdout).toBe("base");
  expect(readFileSync(join(folder, "base/dir/file"), "utf8")).toBe("base");
});

test("after its end a VM leaves no mount, no process and no descriptor", async () => {
  const folder = testFolder();
  const mounts = () => readFileSync("/proc/self/mountinfo", "utf8").split("\n").length;
  const warm = startVm().vm;
  await warm.exec("true");
  await warm.dispose("destroy");
  const before = {
    mounts: mounts(),
    descriptors: openDescriptors().length,
    processes: ownDescendants().length,
  };
  const { vm } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  await vm.mountFs(hostDir("/mnt/host", folder));
  await vm.mountFs({ path: "/mnt/memory", plugin: { id: "memory" } });
  await vm.mountFs({ path: "/mnt/overlay", plugin: { id: "overlay", config: { hostPath: folder } } });
  await vm.watchFiles("/mnt/host");
  await vm.spawn("sleep", ["600"], { cwd: "/mnt/host" });
  const late = vm.mountFs({ path: "/mnt/late", plugin: { id: "memory" } }).catch(() => undefined);
  await vm.dispose("destroy");
  await late;
  await until(() => ownDescendants().length <= before.processes);
  expect({ mounts: mounts(), descriptors: openDescriptors().length }).toEqual({
    mounts: before.mounts,
    descriptors: before.descriptors,
  });
  rmSync(folder, { recursive: true });
  expect(statSync(folder, { throwIfNoEntry: false })).toBe(undefined);
});
