// @module-tag any-user
import { expect, test } from "vitest";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("an import into a mount or a place of the host is refused with the whole path, and changes nothing", async () => {
  const { vm } = startVm();
  await vm.mountFs({ path: "/mnt/scratch", plugin: { id: "memory" } });
  await vm.mkdir("/workspace/empty");
  await vm.exec("mkdir -p full/inner && echo x > full/file", { cwd: "/workspace" });
  const places = ["/mnt/scratch", "/mnt/scratch/new", "/mnt/scratch/new/inner", "/usr", "/usr/share/new"];
  for (const from of ["/workspace/empty", "/workspace/full"]) {
    const archive = await vm.exportTar(from);
    for (const path of places) {
      const error = await failure(vm.importTar(archive, path));
      expect(error).toMatchObject({ code: "EROFS", metadata: { path } });
      expect(error.message).toContain(path);
    }
  }
  expect(await vm.readdir("/mnt/scratch")).toEqual([]);
  expect(await failure(vm.exportTar("/mnt/scratch"))).toMatchObject({ code: "EXDEV" });
});
