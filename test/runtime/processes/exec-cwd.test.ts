// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("cwd defaults to the user's home", async () => {
  const { vm } = startVm();
  expect((await vm.exec("pwd")).stdout).toBe("/home/agentos\n");
});

test("defaultCwd sets the cwd, and a call's cwd overrides it", async () => {
  const { vm } = startVm({ defaultCwd: "/workspace" });
  expect((await vm.exec("pwd")).stdout).toBe("/workspace\n");
  expect((await vm.exec("pwd", { cwd: "/tmp" })).stdout).toBe("/tmp\n");
});

test("cwd may have spaces, quotes and newlines", async () => {
  const { vm } = startVm();
  const cwd = '/tmp/it\'s a "folder"\nwith $(all) of it';
  await vm.mkdir(cwd);
  expect((await vm.exec("pwd", { cwd })).stdout).toBe(`${cwd}\n`);
});

test("a missing cwd is ENOENT, and nothing runs", async () => {
  const { vm } = startVm();
  await expect(vm.exec("touch /tmp/ran", { cwd: "/nowhere" })).rejects.toMatchObject({
    code: "ENOENT",
    message: "ENOENT: no such file or directory, chdir '/nowhere'",
  });
  expect(await vm.exists("/tmp/ran")).toBe(false);
});

test("a file as cwd is ENOTDIR", async () => {
  const { vm } = startVm();
  await vm.writeFile("/tmp/file", "");
  await expect(vm.exec("true", { cwd: "/tmp/file" })).rejects.toMatchObject({
    code: "ENOTDIR",
    message: "ENOTDIR: not a directory, chdir '/tmp/file'",
  });
  await expect(vm.spawn("true", [], { cwd: "/tmp/file" })).rejects.toMatchObject({ code: "ENOTDIR" });
  await expect(vm.openShell({ cwd: "/tmp/file" })).rejects.toMatchObject({ code: "ENOTDIR" });
});
