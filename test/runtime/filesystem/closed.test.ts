import { expect, test } from "vitest";
import { describeFiles, failure } from "./file-systems.ts";

const STOPPED = { code: "vm_stopped", message: "The VM was stopped" };

describeFiles("after close", (tree) => {
  test("all methods reject with vm_stopped", async () => {
    const { files, fs } = tree;
    await fs.close();
    await fs.close();
    const calls = [
      files.readFile("/workspace"),
      files.writeFile("/workspace/a", ""),
      files.readFiles(["/workspace"]),
      files.writeFiles([{ path: "/workspace/a", content: "" }]),
      files.stat("/"),
      files.lstat("/"),
      files.exists("/"),
      files.mkdir("/workspace/a"),
      files.readdir("/"),
      files.readdirRecursive("/"),
      files.move("/workspace", "/opt/a"),
      files.delete("/workspace"),
      fs.openReader("/workspace/a"),
      fs.openWriter("/workspace/a"),
      fs.readlink("/home/user"),
      fs.symlink("a", "/workspace/b"),
      fs.chmod("/workspace", 0o755),
      fs.utimes("/workspace", 0, 0),
    ];
    // All are awaited at once: a call that fails in an earlier turn than another must have its handler then.
    for (const error of await Promise.all(calls.map(failure))) expect(error).toEqual(STOPPED);
  });

  test("a running read and write either finish or reject with vm_stopped", async () => {
    const { files, fs } = tree;
    const large = new Uint8Array(40 * 1024 * 1024).fill(1);
    await files.writeFile("/workspace/large", large);
    const running = [files.readFile("/workspace/large"), files.writeFile("/workspace/other", large)];
    await new Promise((resolve) => setImmediate(resolve));
    const closed = fs.close();
    for (const result of await Promise.allSettled(running))
      if (result.status === "rejected") expect(result.reason).toMatchObject(STOPPED);
    await closed;
  });
});
