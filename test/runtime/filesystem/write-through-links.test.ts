// @module-tag attack
import { expect, test } from "vitest";
import { describeFiles, failure, posix, text } from "./file-systems.ts";

describeFiles("writeFile through a link", (tree) => {
  test.each(["/workspace/target", "target", "../workspace/target", "../../../workspace/target"])(
    "replaces the target of a link to %s",
    async (target) => {
      await tree.files.writeFile("/workspace/target", "old");
      await tree.fs.chmod("/workspace/target", 0o600);
      await tree.fs.symlink(target, "/workspace/link");
      await tree.files.writeFile("/workspace/link", "new");
      expect(text(await tree.files.readFile("/workspace/target"))).toBe("new");
      expect(await tree.fs.readlink("/workspace/link")).toBe(target);
      expect((await tree.files.stat("/workspace/target")).mode).toBe(0o100600);
    },
  );

  test("creates the target of a dangling link", async () => {
    await tree.fs.symlink("/opt/target", "/workspace/one");
    await tree.fs.symlink("one", "/workspace/two");
    await tree.files.writeFile("/workspace/two", "created");
    expect(text(await tree.files.readFile("/opt/target"))).toBe("created");
    expect(await tree.fs.readlink("/workspace/two")).toBe("one");
  });

  test("does not create the directories of a dangling link's target", async () => {
    await tree.fs.symlink("/opt/none/target", "/workspace/link");
    expect(await failure(tree.files.writeFile("/workspace/link", "x"))).toEqual(
      posix("ENOENT: no such file or directory, open '/workspace/link'"),
    );
  });

  test("follows 40 links, and refuses 41", async () => {
    await tree.files.writeFile("/workspace/link-0", "end");
    for (let index = 1; index <= 41; index++)
      await tree.fs.symlink(`link-${index - 1}`, `/workspace/link-${index}`);
    expect(text(await tree.files.readFile("/workspace/link-40"))).toBe("end");
    expect(await failure(tree.files.readFile("/workspace/link-41"))).toEqual(
      posix("ELOOP: too many symbolic links encountered, open '/workspace/link-41'"),
    );
    expect(await failure(tree.files.writeFile("/workspace/link-41", "x"))).toEqual(
      posix("ELOOP: too many symbolic links encountered, open '/workspace/link-41'"),
    );
  });
});
