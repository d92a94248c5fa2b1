import { expect, test } from "vitest";
import { describeFiles, failure, readOnly } from "./file-systems.ts";

describeFiles("changes of /proc, /sys and /dev", (tree) => {
  test.each(["/proc/x", "/sys/kernel/x", "/dev/null", "/proc", "/dev/"])(
    "are refused at %s",
    async (path) => {
      const { files } = tree;
      await files.writeFile("/workspace/a", "");
      const changes = [
        files.writeFile(path, ""),
        files.delete(path),
        files.delete(path, { recursive: true }),
        files.move(path, "/workspace/b"),
        files.move("/workspace/a", path),
      ];
      for (const change of changes) expect(await failure(change)).toEqual(readOnly(path));
      expect(await files.readdir("/workspace")).toEqual(["a"]);
    },
  );

  test("mkdir makes no directory there, and accepts existing ones", async () => {
    expect(await failure(tree.files.mkdir("/proc/x"))).toEqual(readOnly("/proc/x"));
    expect(await failure(tree.files.mkdir("/dev/a/b", { recursive: true }))).toEqual(readOnly("/dev/a/b"));
    await tree.files.mkdir("/proc");
    await tree.files.mkdir("/dev/", { recursive: true });
  });
});
