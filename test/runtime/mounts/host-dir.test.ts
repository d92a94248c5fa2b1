// @module-tag any-user
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isRoot } from "../../support/host.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

/** A VM with a folder of the host at /mnt/host, writable. */
async function shared(readOnly = false) {
  const folder = testFolder();
  const { vm, ...test } = startVm({ hostFolders: [{ path: folder, writable: true }] });
  const mount = () =>
    vm.mountFs({ path: "/mnt/host", plugin: { id: "host_dir", config: { hostPath: folder } }, readOnly });
  return { ...test, vm, folder, mount };
}

test("both sides see each other's changes at once, and both may change them", async () => {
  const { vm, folder, mount } = await shared();
  writeFileSync(join(folder, "host"), "host\n");
  await mount();
  const script = "cat host; echo vm >> host; mkdir made; echo made > made/file; stat -c '%u %a' host made";
  expect((await vm.exec(script, { cwd: "/mnt/host" })).stdout).toBe("host\n1000 644\n1000 755\n");
  expect(readFileSync(join(folder, "host"), "utf8")).toBe("host\nvm\n");
  const { uid, gid } = lstatSync(folder);
  for (const name of ["host", "made", "made/file"])
    expect(lstatSync(join(folder, name))).toMatchObject({ uid, gid });
  writeFileSync(join(folder, "made/file"), "changed by the host\n");
  expect((await vm.exec("cat /mnt/host/made/file")).stdout).toBe("changed by the host\n");
});

test("file methods work in the folder as in the VM's own files", async () => {
  const { vm, folder, mount } = await shared();
  await mount();
  await vm.mkdir("/mnt/host/a/b", { recursive: true });
  await vm.writeFile("/mnt/host/a/b/small", "small");
  await vm.writeFile("/mnt/host/a/b/large", new Uint8Array(2 * 1024 * 1024));
  await vm.move("/mnt/host/a/b/small", "/mnt/host/a/moved");
  await vm.writeFile("/workspace/own", "own");
  await vm.move("/workspace/own", "/mnt/host/a/own");
  await vm.move("/mnt/host/a/moved", "/workspace/moved");
  const { uid, gid } = lstatSync(folder);
  for (const name of ["a", "a/b", "a/b/large", "a/own"])
    expect(lstatSync(join(folder, name))).toMatchObject({ uid, gid });
  expect(
    (await vm.exec("cat /workspace/moved && echo x >> /mnt/host/a/own && rm /mnt/host/a/b/large")).stdout,
  ).toBe("small");
  expect(await vm.readdirRecursive("/mnt/host")).toMatchObject([
    { path: "/mnt/host/a" },
    { path: "/mnt/host/a/b" },
    { path: "/mnt/host/a/own" },
  ]);
  await vm.delete("/mnt/host/a", { recursive: true });
  expect(await failure(vm.delete("/mnt/host", { recursive: true }))).toMatchObject({ code: "EBUSY" });
  expect(await failure(vm.move("/mnt/host", "/mnt/other"))).toMatchObject({ code: "EBUSY" });
  expect(await vm.readdir("/mnt/host")).toEqual([]);
});

test("git, node and bash work in the folder", async () => {
  const { vm, folder, mount } = await shared();
  await mount();
  const script = [
    "git init -q . && git config user.email a@b && git config user.name a",
    `node -e 'require("node:fs").writeFileSync("x.js", "console.log(6 * 7)")'`,
    "git add -A && git commit -qm first && git status --short && git log --format=%s && node x.js",
  ].join(" && ");
  expect(await vm.exec(script, { cwd: "/mnt/host" })).toMatchObject({ stdout: "first\n42\n", stderr: "" });
  expect(readFileSync(join(folder, ".git/HEAD"), "utf8")).toContain("refs/heads/");
});

test("a read-only folder cannot be changed from the VM", async () => {
  const { vm, folder, mount } = await shared(true);
  writeFileSync(join(folder, "file"), "x");
  await mount();
  const { stderr } = await vm.exec("touch new; echo y > file; rm file; chmod 600 file; mkdir d; ln file l", {
    cwd: "/mnt/host",
  });
  expect(stderr.match(/Read-only file system/g)?.length).toBe(6);
  const calls = [
    () => vm.writeFile("/mnt/host/file", "y"),
    () => vm.mkdir("/mnt/host/d"),
    () => vm.delete("/mnt/host/file"),
    () => vm.move("/mnt/host/file", "/mnt/host/f"),
    () => vm.mountFs({ path: "/mnt/host/new", plugin: { id: "memory" } }),
  ];
  for (const call of calls) expect(await failure(call())).toMatchObject({ code: "EROFS" });
  expect(readFileSync(join(folder, "file"), "utf8")).toBe("x");
});

test("one folder may be mounted twice, for writing and for reading only", async () => {
  const { vm, folder, mount } = await shared();
  await mount();
  await vm.mountFs({ path: "/mnt/read", plugin: { id: "host_dir", config: { hostPath: folder } } });
  await vm.writeFile("/mnt/host/file", "x");
  expect((await vm.exec("cat /mnt/read/file")).stdout).toBe("x");
  expect(await failure(vm.writeFile("/mnt/read/file", "y"))).toMatchObject({ code: "EROFS" });
  expect(await failure(vm.delete("/mnt/read/file"))).toMatchObject({ code: "EROFS" });
  await vm.unmountFs("/mnt/read");
  await vm.writeFile("/mnt/host/file", "z");
  await vm.unmountFs("/mnt/host");
  expect(await vm.readdir("/mnt/host")).toEqual([]);
});

test("links of the folder lead to files of the VM, never of the host", async () => {
  const { vm, folder, mount } = await shared();
  const outside = testFolder();
  writeFileSync(join(outside, "secret"), "secret of the host");
  symlinkSync(join(outside, "secret"), join(folder, "absolute"));
  symlinkSync(`../../../../../../../..${outside}/secret`, join(folder, "relative"));
  symlinkSync(outside, join(folder, "folder"));
  symlinkSync("/etc/hostname", join(folder, "hostname"));
  await mount();
  for (const name of ["absolute", "relative", "folder/secret"]) {
    expect((await vm.exec(`cat /mnt/host/${name}`)).stdout).toBe("");
    expect(await failure(vm.readFile(`/mnt/host/${name}`))).toMatchObject({ code: "ENOENT" });
  }
  await vm.exec(`mkdir -p ${outside}`);
  await vm.writeFile("/mnt/host/absolute", "of the VM");
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret of the host");
  expect((await vm.exec("cat /mnt/host/hostname")).stdout).toBe("agentos\n");
});

test("watchFiles reports changes of both sides", async () => {
  const { vm, folder, mount, event } = await shared();
  mkdirSync(join(folder, "sub"));
  await mount();
  await vm.watchFiles("/mnt/host", { recursive: true });
  writeFileSync(join(folder, "sub/by-host"), "x");
  await event("fileChanged", ({ path }) => path === "/mnt/host/sub/by-host");
  await vm.exec("echo x > /mnt/host/sub/by-vm");
  await event("fileChanged", ({ path }) => path === "/mnt/host/sub/by-vm");
});

test.runIf(isRoot)("the file methods of a root server may do no more than the VM's user", async () => {
  const { vm, folder, mount } = await shared();
  mkdirSync(join(folder, "others"));
  writeFileSync(join(folder, "others/file"), "x");
  writeFileSync(join(folder, "private"), "x", { mode: 0o600 });
  for (const name of ["others", "others/file", "private"]) chownSync(join(folder, name), 4711, 4711);
  writeFileSync(join(folder, "loose"), "x");
  chmodSync(join(folder, "loose"), 0o666);
  chownSync(join(folder, "loose"), 4711, 4711);
  await mount();
  const refused: [() => Promise<unknown>, string][] = [
    [() => vm.readFile("/mnt/host/private"), "EACCES"],
    [() => vm.writeFile("/mnt/host/others/file", "y"), "EACCES"],
    [() => vm.writeFile("/mnt/host/others/new", "y"), "EACCES"],
    [() => vm.mkdir("/mnt/host/others/new"), "EACCES"],
    [() => vm.delete("/mnt/host/others/file"), "EACCES"],
    [() => vm.delete("/mnt/host/others", { recursive: true }), "EACCES"],
    [() => vm.move("/mnt/host/others/file", "/mnt/host/stolen"), "EACCES"],
  ];
  for (const [call, code] of refused) expect(await failure(call())).toMatchObject({ code });
  expect(readFileSync(join(folder, "others/file"), "utf8")).toBe("x");
});

test.runIf(isRoot)(
  "a folder of root that other users of the host reach is mounted read-only only",
  async () => {
    const folder = testFolder();
    const open = join("/", "var/tmp", `agent-vm-open-${process.pid}`);
    mkdirSync(open, { mode: 0o755 });
    try {
      const { vm } = startVm({
        hostFolders: [
          { path: open, writable: true },
          { path: folder, writable: true },
        ],
      });
      const mount = (hostPath: string, readOnly: boolean) =>
        vm.mountFs({ path: "/mnt/host", plugin: { id: "host_dir", config: { hostPath } }, readOnly });
      expect(await failure(mount(open, false))).toMatchObject({ code: "mount_forbidden" });
      await mount(open, true);
      await vm.unmountFs("/mnt/host");
      chownSync(open, 4711, 4711);
      await mount(open, false);
      await vm.exec("touch /mnt/host/file");
      expect(lstatSync(join(open, "file"))).toMatchObject({ uid: 4711, gid: 4711 });
    } finally {
      rmSync(open, { recursive: true, force: true });
    }
  },
);
