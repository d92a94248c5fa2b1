// @module-tag any-user
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { VmOptionsInput } from "../../../src/runtime/options.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";
import { testFolder } from "../../support/temporary-folder.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

const volumes = [{ name: "cache" }, { name: "single", exclusive: true }, { name: "fixed", writable: false }];

/** Makes VMs of one server. */
function server(options: VmOptionsInput = { volumes }) {
  const dataFolder = testFolder();
  return { dataFolder, vm: () => startVm(options, undefined, { dataFolder, store: new MemoryStore() }).vm };
}

const volume = (name: string, config = {}) => ({
  path: "/mnt/volume",
  plugin: { id: "volume" as const, config: { name, ...config } },
});

test("two VMs share a volume, and both may change its files", async () => {
  const { vm, dataFolder } = server();
  const [first, second] = [vm(), vm()];
  await first.mountFs(volume("cache"));
  await second.mountFs(volume("cache"));
  await first.exec("mkdir -m 755 dir && echo first > dir/file && umask 077 && echo private > private", {
    cwd: "/mnt/volume",
  });
  expect(
    await second.exec("cat dir/file private && echo second >> dir/file && rm private", {
      cwd: "/mnt/volume",
    }),
  ).toMatchObject({
    stdout: "first\nprivate\n",
    exitCode: 0,
  });
  await second.writeFile("/mnt/volume/dir/method", "method");
  expect((await first.exec("cat dir/file && rm -r dir", { cwd: "/mnt/volume" })).stdout).toBe(
    "first\nsecond\n",
  );
  expect(lstatSync(join(dataFolder, "volumes")).mode & 0o777).toBe(0o700);
});

test("a volume outlives its VM", async () => {
  const { vm } = server();
  const first = vm();
  await first.mountFs(volume("cache"));
  await first.exec("echo kept > /mnt/volume/file");
  await first.dispose("destroy");
  const second = vm();
  await second.mountFs(volume("cache"));
  expect((await second.exec("cat /mnt/volume/file")).stdout).toBe("kept\n");
});

test("an exclusive volume has one VM at a time", async () => {
  const { vm } = server();
  const [first, second] = [vm(), vm()];
  await first.mountFs(volume("single"));
  expect(await failure(second.mountFs(volume("single")))).toMatchObject({ code: "volume_in_use" });
  await first.sleep();
  await second.mountFs(volume("single"));
  await first.exec("true");
  expect((await first.listMounts())[0]?.error).toContain("Another VM uses the volume");
  expect((await first.exec("touch /mnt/volume/x")).exitCode).not.toBe(0);
  await second.unmountFs("/mnt/volume");
  await first.restart();
  expect((await first.listMounts())[0]?.error).toBe(null);
  const third = vm();
  await first.unmountFs("/mnt/volume");
  await first.mountFs(volume("cache"));
  expect(await failure(third.mountFs(volume("cache", { exclusive: true })))).toMatchObject({
    code: "volume_in_use",
  });
});

test("a client mounts only volumes that the options name, and a fixed one read-only", async () => {
  const { vm, dataFolder } = server();
  const only = vm();
  expect(await failure(only.mountFs(volume("other")))).toMatchObject({ code: "mount_forbidden" });
  expect(await failure(only.mountFs(volume("fixed")))).toMatchObject({ code: "mount_forbidden" });
  expect(existsSync(join(dataFolder, "volumes"))).toBe(false);
  await only.mountFs({ ...volume("fixed"), readOnly: true });
  expect(readdirSync(join(dataFolder, "volumes"))).toEqual(["fixed"]);
});

test("a VM without a data folder has no volumes", async () => {
  const { vm } = startVm({ volumes });
  expect(await failure(vm.mountFs(volume("cache")))).toMatchObject({ code: "mount_unavailable" });
});
