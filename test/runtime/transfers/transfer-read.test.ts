import { expect, test } from "vitest";
import { FileTransfers } from "../../../src/runtime/transfers/file-transfers.ts";
import { describeFiles, failure, posix, text } from "../filesystem/file-systems.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describeFiles("reading a file in pieces", (tree) => {
  const open = () => new FileTransfers(tree.fs, { chunkBytes: 4 });

  test("returns a small file at once, and keeps nothing open", async () => {
    await tree.files.writeFile("/workspace/a", "1234");
    const transfers = open();
    expect(await transfers.beginFileRead("/workspace/a")).toEqual({
      size: 4,
      data: new Uint8Array(Buffer.from("1234")),
      transferId: null,
    });
    await tree.files.writeFile("/workspace/empty", "");
    expect(await transfers.beginFileRead("/workspace/empty")).toEqual({
      size: 0,
      data: new Uint8Array(),
      transferId: null,
    });
  });

  test("returns a large file in pieces from any offset", async () => {
    await tree.files.writeFile("/workspace/a", "0123456789");
    const transfers = open();
    const { size, data, transferId } = await transfers.beginFileRead("/workspace/a");
    expect([size, text(data)]).toEqual([10, "0123"]);
    expect(transferId).toMatch(UUID);
    const pieces: string[] = [];
    for (const offset of [4, 8, 10, 0, 7])
      pieces.push(text(await transfers.readFileChunk(transferId!, offset)));
    expect(pieces).toEqual(["4567", "89", "", "0123", "789"]);
    await transfers.dispose();
  });

  test("keeps reading the file that it opened after a write and a delete", async () => {
    await tree.files.writeFile("/workspace/a", "0123456789");
    const transfers = open();
    const { transferId } = await transfers.beginFileRead("/workspace/a");
    await tree.files.writeFile("/workspace/a", "something else");
    expect(text(await transfers.readFileChunk(transferId!, 4))).toBe("4567");
    await tree.files.delete("/workspace/a");
    expect(text(await transfers.readFileChunk(transferId!, 8))).toBe("89");
    await transfers.dispose();
  });

  test("endFileTransfer ends a transfer and may be repeated", async () => {
    await tree.files.writeFile("/workspace/a", "0123456789");
    const transfers = open();
    const { transferId } = await transfers.beginFileRead("/workspace/a");
    await transfers.endFileTransfer(transferId!);
    await transfers.endFileTransfer(transferId!);
    expect(await failure(transfers.readFileChunk(transferId!, 0))).toEqual({
      code: "transfer_not_found",
      message: `File transfer not found: ${transferId}`,
    });
  });

  test("refuses invalid offsets and paths", async () => {
    await tree.files.writeFile("/workspace/a", "0123456789");
    const transfers = open();
    const { transferId } = await transfers.beginFileRead("/workspace/a");
    for (const offset of [-1, 11, 0.5, Number.NaN])
      expect(await failure(transfers.readFileChunk(transferId!, offset))).toEqual({
        code: "invalid_argument",
        message: `Expected \`offset\` to be an integer from 0 to the file's size, 10, got ${offset}`,
      });
    expect(await failure(transfers.beginFileRead("/none"))).toEqual(
      posix("ENOENT: no such file or directory, open '/none'"),
    );
    expect(await failure(transfers.beginFileRead("/workspace"))).toEqual(
      posix("EISDIR: illegal operation on a directory, read '/workspace'"),
    );
    expect(await failure(transfers.beginFileRead("a"))).toEqual({
      code: "invalid_argument",
      message: "Path must be absolute: a",
    });
    await transfers.dispose();
  });
});
