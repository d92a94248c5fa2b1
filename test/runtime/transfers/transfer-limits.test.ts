import { afterEach, expect, test, vi } from "vitest";
import { FileTransfers } from "../../../src/runtime/transfers/file-transfers.ts";
import { TransferTable } from "../../../src/runtime/transfers/transfer-table.ts";
import { describeFiles, failure } from "../filesystem/file-systems.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** Fakes only timeouts, so that the event loop keeps running. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
}

describeFiles("open transfers", (tree) => {
  const begin = (transfers: FileTransfers) => transfers.beginFileWrite("/workspace/a", 1);

  test("are limited, and make room when they end", async () => {
    const transfers = new FileTransfers(tree.fs, { table: new TransferTable(2, 1000) });
    const [first] = [await begin(transfers), await begin(transfers)];
    expect(await failure(begin(transfers))).toEqual({
      code: "limit_exceeded",
      message: "Transfer limit of the VM reached (MAX_TRANSFERS = 2). Finish or close a transfer first.",
    });
    await transfers.endFileTransfer(first!.transferId);
    await begin(transfers);
    await transfers.dispose();
  });

  test("count as soon as they are requested", async () => {
    const transfers = new FileTransfers(tree.fs, { table: new TransferTable(2, 1000) });
    const results = await Promise.allSettled([begin(transfers), begin(transfers), begin(transfers)]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    await transfers.dispose();
  });

  test("are closed after the idle time", async () => {
    fakeTimers();
    await tree.files.writeFile("/workspace/b", "12");
    const transfers = new FileTransfers(tree.fs, { table: new TransferTable(2, 1000), chunkBytes: 1 });
    const { transferId } = await begin(transfers);
    const download = await transfers.beginFileRead("/workspace/b");
    await vi.advanceTimersByTimeAsync(900);
    await transfers.writeFileChunk(transferId, 0, Buffer.from("x"));
    await vi.advanceTimersByTimeAsync(900);
    expect(await failure(transfers.readFileChunk(download.transferId!, 0))).toMatchObject({
      code: "transfer_not_found",
    });
    await transfers.writeFileChunk(transferId, 0, Buffer.from("x"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await failure(transfers.commitFileWrite(transferId))).toMatchObject({
      code: "transfer_not_found",
    });
    // The file is removed in the pool, which is watched meanwhile.
    await expect.poll(() => vi.getTimerCount()).toBe(0);
    expect(await tree.files.readdir("/workspace")).toEqual(["b"]);
  });

  test("leave no timer behind when they end", async () => {
    fakeTimers();
    const transfers = new FileTransfers(tree.fs);
    const { transferId } = await begin(transfers);
    await transfers.writeFileChunk(transferId, 0, Buffer.from("x"));
    await transfers.commitFileWrite(transferId);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("end with the VM", async () => {
    await tree.files.writeFile("/workspace/b", "12");
    const transfers = new FileTransfers(tree.fs, { chunkBytes: 1 });
    const { transferId } = await begin(transfers);
    const download = await transfers.beginFileRead("/workspace/b");
    await transfers.dispose();
    await transfers.dispose();
    const stopped = { code: "vm_stopped", message: "The VM was stopped" };
    expect(await failure(transfers.writeFileChunk(transferId, 0, Buffer.from("x")))).toEqual(stopped);
    expect(await failure(transfers.readFileChunk(download.transferId!, 0))).toEqual(stopped);
    expect(await failure(begin(transfers))).toEqual(stopped);
    expect(await tree.files.readdir("/workspace")).toEqual(["b"]);
  });

  test("end with the VM even while they are being opened", async () => {
    const transfers = new FileTransfers(tree.fs);
    const opening = failure(begin(transfers));
    await transfers.dispose();
    expect(await opening).toEqual({ code: "vm_stopped", message: "The VM was stopped" });
    expect(await tree.files.readdir("/workspace")).toEqual([]);
  });
});
