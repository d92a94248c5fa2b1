import { expect, test } from "vitest";
import { describeFiles } from "./file-systems.ts";

const data = Buffer.from("x");

describeFiles("mode and owner of written files", (tree) => {
  test("gives a new file to the VM's user, mode 0644", async () => {
    await tree.files.writeFile("/workspace/a", "x");
    const { mode, uid, gid, nlink, size, blocks } = await tree.files.stat("/workspace/a");
    expect({ mode, uid, gid, nlink, size, blocks }).toEqual({
      mode: 0o100644,
      uid: 1000,
      gid: 1000,
      nlink: 1,
      size: 1,
      blocks: 8,
    });
  });

  test.each([0o600, 0o755, 0o444, 0o1777])("keeps mode %o of a file that it replaces", async (mode) => {
    await tree.files.writeFile("/workspace/a", "old");
    await tree.fs.chmod("/workspace/a", mode);
    await tree.files.writeFile("/workspace/a", "new");
    expect((await tree.files.stat("/workspace/a")).mode).toBe(0o100000 | mode);
  });

  test("clears set-user-id and set-group-id like write(2)", async () => {
    await tree.files.writeFile("/workspace/a", "old");
    await tree.fs.chmod("/workspace/a", 0o6755);
    expect((await tree.files.stat("/workspace/a")).mode).toBe(0o106755);
    await tree.files.writeFile("/workspace/a", "new");
    expect((await tree.files.stat("/workspace/a")).mode).toBe(0o100755);
  });

  test("ignores the server's umask", async () => {
    const umask = process.umask(0o777);
    try {
      await tree.fs.mkdir("/workspace/folder");
      await tree.fs.writeFile("/workspace/folder/a", data);
    } finally {
      process.umask(umask);
    }
    expect((await tree.files.stat("/workspace/folder")).mode).toBe(0o40755);
    expect((await tree.files.stat("/workspace/folder/a")).mode).toBe(0o100644);
  });

  test("sets mode and times", async () => {
    await tree.fs.writeFile("/workspace/a", data);
    await tree.fs.chmod("/workspace/a", 0o4711);
    await tree.fs.utimes("/workspace/a", 1_700_000_000_123, 1_600_000_000_456);
    const { mode, atimeMs, mtimeMs } = await tree.files.stat("/workspace/a");
    expect({ mode, atimeMs, mtimeMs }).toEqual({
      mode: 0o104711,
      atimeMs: 1_700_000_000_123,
      mtimeMs: 1_600_000_000_456,
    });
  });

  test("sets mode and times of a link's target", async () => {
    await tree.fs.writeFile("/workspace/a", data);
    await tree.fs.symlink("a", "/workspace/link");
    await tree.fs.chmod("/workspace/link", 0o600);
    await tree.fs.utimes("/workspace/link", 1000, 2000);
    expect((await tree.files.stat("/workspace/a")).mode).toBe(0o100600);
    expect((await tree.files.stat("/workspace/a")).mtimeMs).toBe(2000);
    expect((await tree.files.lstat("/workspace/link")).mode).toBe(0o120777);
  });
});
