import { expect, test } from "vitest";
import { FileTransfers } from "../../../src/runtime/transfers/file-transfers.ts";
import { describeFiles, failure, posix, readOnly, text } from "../filesystem/file-systems.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describeFiles("writing a file in pieces", (tree) => {
  test("shows nothing before the commit", async () => {
    await tree.files.writeFile("/workspace/a", "old");
    await tree.fs.chmod("/workspace/a", 0o600);
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await transfers.beginFileWrite("/workspace/a", 11);
    await transfers.writeFileChunk(transferId, 6, bytes("world"));
    await transfers.writeFileChunk(transferId, 0, bytes("hello "));
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("old");
    expect(await tree.files.readdir("/workspace")).toEqual(["a"]);
    await transfers.commitFileWrite(transferId);
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("hello world");
    expect((await tree.files.stat("/workspace/a")).mode).toBe(0o100600);
    expect(await failure(transfers.commitFileWrite(transferId))).toEqual({
      code: "transfer_not_found",
      message: `File transfer not found: ${transferId}`,
    });
  });

  test("creates missing parents, and an empty file", async () => {
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await transfers.beginFileWrite("/workspace/new/folder/a", 0);
    await transfers.commitFileWrite(transferId);
    expect(await tree.files.readFile("/workspace/new/folder/a")).toEqual(new Uint8Array());
  });

  test("does not commit before every byte has arrived", async () => {
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await transfers.beginFileWrite("/workspace/a", 6);
    await transfers.writeFileChunk(transferId, 0, bytes("abc"));
    await transfers.writeFileChunk(transferId, 1, bytes("bc"));
    expect(await failure(transfers.commitFileWrite(transferId))).toEqual({
      code: "invalid_argument",
      message: "Expected 6 bytes before the commit, got 3",
    });
    expect(await tree.files.exists("/workspace/a")).toBe(false);
    await transfers.writeFileChunk(transferId, 3, bytes("def"));
    await transfers.commitFileWrite(transferId);
    expect(text(await tree.files.readFile("/workspace/a"))).toBe("abcdef");
  });

  test("leaves nothing behind if it ends without a commit", async () => {
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await transfers.beginFileWrite("/workspace/a", 6);
    await transfers.writeFileChunk(transferId, 0, bytes("abc"));
    await transfers.endFileTransfer(transferId);
    expect(await tree.files.readdir("/workspace")).toEqual([]);
    await tree.fs.rmdir("/workspace");
  });

  test("refuses pieces that end outside the file", async () => {
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await transfers.beginFileWrite("/workspace/a", 6);
    for (const offset of [-1, 4, 0.5, Number.NaN])
      expect(await failure(transfers.writeFileChunk(transferId, offset, bytes("abc")))).toEqual({
        code: "invalid_argument",
        message: `Expected \`offset\` to be an offset that keeps the piece within the file's 6 bytes, got ${offset}`,
      });
    await transfers.dispose();
  });

  test("refuses invalid sizes and paths", async () => {
    const transfers = new FileTransfers(tree.fs);
    for (const size of [-1, 1.5, 2 ** 40 + 1])
      expect(await failure(transfers.beginFileWrite("/workspace/a", size))).toEqual({
        code: "invalid_argument",
        message: `Expected \`size\` to be an integer from 0 to 1099511627776, got ${size}`,
      });
    expect(await failure(transfers.beginFileWrite("/dev/null", 0))).toEqual(readOnly("/dev/null"));
    expect(await failure(transfers.beginFileWrite("/workspace", 0))).toEqual(
      posix("EISDIR: illegal operation on a directory, open '/workspace'"),
    );
  });

  test("cannot be used to read", async () => {
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await transfers.beginFileWrite("/workspace/a", 6);
    expect((await failure(transfers.readFileChunk(transferId, 0))).code).toBe("transfer_not_found");
    await transfers.dispose();
  });

  test("ends with the commit, even if the commit fails", async () => {
    const transfers = new FileTransfers(tree.fs);
    await tree.files.mkdir("/workspace/folder");
    const { transferId } = await transfers.beginFileWrite("/workspace/folder/a", 0);
    await tree.files.delete("/workspace/folder", { recursive: true });
    expect(await failure(transfers.commitFileWrite(transferId))).toEqual(
      posix("ENOENT: no such file or directory, open '/workspace/folder/a'"),
    );
    expect((await failure(transfers.commitFileWrite(transferId))).code).toBe("transfer_not_found");
  });
});
