import { expect, test } from "vitest";
import { MIB } from "../../../src/api/units.ts";
import { describeFiles } from "./file-systems.ts";

const FILE_BYTES = 16 * MIB;
const READS = 12;

describeFiles("reads of large files at once", (tree) => {
  test("hold the memory of a few, however many wait, and all end", async () => {
    await tree.files.writeFile("/workspace/large", new Uint8Array(FILE_BYTES).fill(7));
    const before = process.memoryUsage().arrayBuffers;
    const reads = Array.from({ length: READS }, () => tree.files.readFile("/workspace/large"));
    await Promise.race(reads);
    // With a fair turn for each read, all would have their memory before the first ends. Two may have ended, and two have begun.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5 * FILE_BYTES);
    const sizes = await Promise.all(reads.map(async (read) => (await read).byteLength));
    expect(sizes).toEqual(new Array(READS).fill(FILE_BYTES));
  });

  test("fail as reads of closed files when the tree closes, and leave none waiting", async () => {
    await tree.files.writeFile("/workspace/large", new Uint8Array(FILE_BYTES));
    const reads = Array.from({ length: READS }, () => tree.files.readFile("/workspace/large"));
    await Promise.race(reads);
    await tree.fs.close();
    const ends = await Promise.allSettled(reads);
    expect(ends).toHaveLength(READS);
  });
});
