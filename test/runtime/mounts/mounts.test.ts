// @module-tag any-user
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { MountOptions } from "../../../src/api/methods/mounts.ts";
import { MAX_MOUNTS } from "../../../src/runtime/mounts/limits.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const folder = temporaryFolder();
mkdirSync(join(folder, "shared/below"), { recursive: true });
writeFileSync(join(folder, "shared/below/file"), "of the host\n");
mkdirSync(join(folder, "readable"));
const hostFolders = [{ path: join(folder, "shared"), writable: true }, { path: join(folder, "readable") }];

const memory = (path: string, config = {}): MountOptions => ({ path, plugin: { id: "memory", config } });
const hostDir = (path: string, hostPath: string, readOnly?: boolean): MountOptions => ({
  path,
  plugin: { id: "host_dir", config: { hostPath } },
  ...(readOnly !== undefined && { readOnly }),
});

test("a running program sees a mount when mountFs resolves, and no longer after unmountFs", async () => {
  const { vm } = startVm();
  const { pid } = await vm.spawn("sh", [
    "-c",
    "while read -r line; do grep -c ' /mnt/scratch ' /proc/mounts; done",
  ]);
  const ask = async () => {
    const before = (await vm.readProcessOutput(pid)).chunks.length;
    await vm.writeProcessStdin(pid, "\n");
    await expect.poll(async () => (await vm.readProcessOutput(pid)).chunks.length).toBeGreaterThan(before);
    return Buffer.from((await vm.readProcessOutput(pid)).chunks.at(-1)?.data ?? []).toString();
  };
  expect(await ask()).toBe("0\n");
  await vm.mountFs(memory("/mnt/scratch"));
  expect(await ask()).toBe("1\n");
  await vm.unmountFs("/mnt/scratch");
  expect(await ask()).toBe("0\n");
});

test("every mount has neither set-user-ID programs nor devices, and programs run from it", async () => {
  const { vm } = startVm({ hostFolders });
  await vm.mountFs(memory("/mnt/memory"));
  await vm.mountFs(hostDir("/mnt/host", join(folder, "shared"), false));
  await vm.mountFs({
    path: "/mnt/overlay",
    plugin: { id: "overlay", config: { hostPath: join(folder, "shared") } },
  });
  const { stdout } = await vm.exec("grep ' /mnt/' /proc/mounts | cut -d' ' -f4");
  const flags = stdout.trim().split("\n");
  expect(flags.length).toBe(3);
  for (const each of flags) expect(each).toMatch(/^rw,nosuid,nodev,(?!.*noexec)/);
  for (const path of ["/mnt/memory", "/mnt/host", "/mnt/overlay"]) {
    const script = `cp /usr/bin/true ${path}/program && ${path}/program && rm ${path}/program`;
    expect(await vm.exec(script)).toMatchObject({ exitCode: 0, stderr: "" });
  }
});

test("a memory mount has its own size and number of files", async () => {
  const { vm } = startVm();
  await vm.mountFs(memory("/mnt/small", { sizeBytes: 65_536, inodes: 16 }));
  const full = await vm.exec(
    "head -c 100000 /dev/zero > /mnt/small/file; rm /mnt/small/file; seq 20 | xargs -I{} touch /mnt/small/{}",
  );
  expect(full.stderr.match(/No space left on device/g)?.length).toBeGreaterThan(2);
  expect((await failure(vm.writeFile("/mnt/small/another", "x"))).code).toBe("ENOSPC");
  expect((await vm.exec("echo kept > /workspace/file && cat /workspace/file")).stdout).toBe("kept\n");
});

test("the memory mounts of a VM together are no larger than its own files may be", async () => {
  const { vm } = startVm({ limits: { filesystemBytes: 1024 * 1024, inodes: 1000 } });
  await vm.mountFs(memory("/mnt/a", { sizeBytes: 600 * 1024, inodes: 100 }));
  expect(await failure(vm.mountFs(memory("/mnt/b", { sizeBytes: 600 * 1024, inodes: 100 })))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "limits.filesystemBytes" },
  });
  expect(await failure(vm.mountFs(memory("/mnt/b", { sizeBytes: 65_536, inodes: 901 })))).toMatchObject({
    metadata: { limit: "limits.inodes" },
  });
});

test("listMounts names each mount, without settings of the server's own", async () => {
  const { vm } = startVm({ hostFolders, mounts: [hostDir("/mnt/own", join(folder, "readable"))] });
  await vm.mountFs(memory("/mnt/memory", { sizeBytes: 65_536 }));
  expect(await vm.listMounts()).toEqual([
    { path: "/mnt/own", kind: "host_dir", readOnly: true, error: null },
    { path: "/mnt/memory", kind: "memory", readOnly: false, config: { sizeBytes: 65_536 }, error: null },
  ]);
  expect(await failure(vm.unmountFs("/mnt/own"))).toMatchObject({ code: "invalid_argument" });
  expect(await failure(vm.unmountFs("/mnt/none"))).toMatchObject({ code: "mount_not_found" });
});

test("a client mounts only folders and volumes that the server's options name", async () => {
  const { vm } = startVm({ hostFolders });
  const refused: [MountOptions, string][] = [
    [hostDir("/mnt/a", "/etc"), "mount_forbidden"],
    [hostDir("/mnt/a", folder), "mount_forbidden"],
    [hostDir("/mnt/a", `${folder}/shared-not`), "mount_forbidden"],
    [hostDir("/mnt/a", `${folder}/readable`, false), "mount_forbidden"],
    [hostDir("/mnt/a", `${folder}/shared/../..`), "invalid_argument"],
    [hostDir("/mnt/a", `${folder}/shared/none`), "ENOENT"],
    [hostDir("/mnt/a", `${folder}/shared/below/file`), "ENOTDIR"],
    [{ path: "/mnt/a", plugin: { id: "overlay", config: { hostPath: "/root" } } }, "mount_forbidden"],
    [{ path: "/mnt/a", plugin: { id: "volume", config: { name: "any" } } }, "mount_forbidden"],
  ];
  for (const [mount, code] of refused)
    expect([mount, (await failure(vm.mountFs(mount))).code]).toEqual([mount, code]);
  expect(await vm.listMounts()).toEqual([]);
  await vm.mountFs(hostDir("/mnt/a", join(folder, "shared/below")));
  expect((await vm.exec("cat /mnt/a/file; touch /mnt/a/x")).stdout).toBe("of the host\n");
  expect(await failure(vm.writeFile("/mnt/a/x", "x"))).toMatchObject({ code: "EROFS" });
});

test.each([
  "/",
  "/proc",
  "/proc/sys",
  "/dev",
  "/dev/shm",
  "/sys/x",
  "/usr",
  "/usr/local",
  "/run",
  "/run/agentos",
  "/bin",
  "/etc",
  "/etc/ssl",
  "/opt",
  "/opt/agentos",
  "/home",
  "/var",
  "/var/lib",
  "/var/lib/agentos/overlays/x",
  "/var/run",
])("mountFs refuses %s", async (path) => {
  const { vm } = startVm();
  expect(await failure(vm.mountFs(memory(path)))).toMatchObject({ code: "invalid_argument" });
});

test("one path has one mount, mounts nest, and an outer one stays while an inner one is there", async () => {
  const { vm } = startVm();
  await vm.mountFs(memory("/mnt/outer"));
  expect(await failure(vm.mountFs(memory("/mnt/outer")))).toMatchObject({ code: "EEXIST" });
  await vm.mountFs(memory("/mnt/outer/inner"));
  expect(await failure(vm.unmountFs("/mnt/outer"))).toMatchObject({ code: "EBUSY" });
  expect(await failure(vm.mountFs(memory("/mnt")))).toMatchObject({ code: "EBUSY" });
  await vm.writeFile("/mnt/outer/inner/file", "x");
  await vm.unmountFs("/mnt/outer/inner");
  expect(await vm.exists("/mnt/outer/inner/file")).toBe(false);
  await vm.unmountFs("/mnt/outer");
});

test(`a VM has at most ${MAX_MOUNTS} mounts`, { tags: ["slow"] }, async () => {
  const { vm } = startVm();
  for (let index = 0; index < MAX_MOUNTS; index++)
    await vm.mountFs(memory(`/mnt/${index}`, { sizeBytes: 65_536, inodes: 16 }));
  expect(await failure(vm.mountFs(memory("/mnt/more", { sizeBytes: 65_536, inodes: 16 })))).toMatchObject({
    code: "limit_exceeded",
    metadata: { limit: "MAX_MOUNTS" },
  });
  expect((await vm.exec("grep -c ' /mnt/' /proc/mounts")).stdout).toBe(`${MAX_MOUNTS}\n`);
});

test("the memory runtime has no mounts", async () => {
  const { vm } = startVm({ runtime: "memory" });
  for (const call of [
    () => vm.mountFs(memory("/mnt/a")),
    () => vm.unmountFs("/mnt/a"),
    () => vm.listMounts(),
  ])
    expect(await failure(call())).toMatchObject({ code: "not_supported" });
  const { vm: other } = startVm({ runtime: "memory", mounts: [memory("/mnt/a")] });
  expect(await failure(other.writeFile("/workspace/x", "x"))).toMatchObject({ code: "not_supported" });
});
