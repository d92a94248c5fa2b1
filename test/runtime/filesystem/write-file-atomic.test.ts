import { expect, test } from "vitest";
import { describeFiles, failure, text } from "./file-systems.ts";

const MIB = 1024 * 1024;

describeFiles("writeFile replaces in one step", (tree) => {
  test("an open reader keeps the old content", async () => {
    await tree.files.writeFile("/workspace/a", "old content");
    const reader = await tree.fs.openReader("/workspace/a");
    await tree.files.writeFile("/workspace/a", "new");
    expect(reader.size).toBe(11);
    expect(text(await reader.read(0, 100))).toBe("old content");
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("new");
    await reader.close();
  });

  test("readers see the old file or the new one, never a mix", async () => {
    const contents = [1, 2, 3].map((byte) => new Uint8Array(2 * MIB).fill(byte));
    await tree.files.writeFile("/workspace/a", contents[0]!);
    let writing = true;
    const written = (async () => {
      for (let round = 0; round < 20; round++)
        await tree.files.writeFile("/workspace/a", contents[round % contents.length]!);
      writing = false;
    })();
    const seen = new Set<string>();
    while (writing) {
      const bytes = Buffer.from(await tree.files.readFile("/workspace/a"));
      const isWhole = contents.some((content) => bytes.equals(content));
      seen.add(isWhole ? "whole" : `half of ${bytes.length} bytes`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await written;
    expect([...seen]).toEqual(["whole"]);
  });

  test("a file stays hidden before the commit", async () => {
    const writer = await tree.fs.openWriter("/workspace/new");
    await writer.write(0, Buffer.from("content"));
    expect(await tree.files.readdir("/workspace")).toEqual([]);
    expect(await tree.files.readdirRecursive("/workspace")).toEqual([]);
    expect(await tree.files.exists("/workspace/new")).toBe(false);
    await writer.commit();
    expect(await tree.files.readdir("/workspace")).toEqual(["new"]);
    expect(text(await tree.files.readFile("/workspace/new"))).toBe("content");
  });

  test("without a commit nothing changes", async () => {
    await tree.files.writeFile("/workspace/a", "old");
    const writer = await tree.fs.openWriter("/workspace/a");
    await writer.write(0, Buffer.from("never seen"));
    await writer.close();
    await writer.close();
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("old");
    await tree.files.delete("/workspace/a");
    await tree.fs.rmdir("/workspace");
  });

  test("refuses writes after the commit", async () => {
    const writer = await tree.fs.openWriter("/workspace/a");
    await writer.commit();
    expect(await failure(writer.write(0, Buffer.from("x")))).toEqual({
      code: "EBADF",
      message: "EBADF: bad file descriptor, write '/workspace/a'",
    });
    await writer.close();
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("");
  });

  test("accepts pieces in any order", async () => {
    const writer = await tree.fs.openWriter("/workspace/a");
    await writer.write(6, Buffer.from("world"));
    await writer.write(0, Buffer.from("hello"));
    await writer.commit();
    await writer.close();
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("hello\0world");
  });

  test("the commit fails if the directory was removed", async () => {
    await tree.files.mkdir("/workspace/folder");
    const writer = await tree.fs.openWriter("/workspace/folder/a");
    await tree.files.delete("/workspace/folder", { recursive: true });
    expect(await failure(writer.commit())).toEqual({
      code: "ENOENT",
      message: "ENOENT: no such file or directory, open '/workspace/folder/a'",
    });
    expect(await tree.files.readdir("/workspace")).toEqual([]);
  });
});
