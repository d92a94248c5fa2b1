import { expect, test } from "vitest";
import { PackWriter } from "../../../src/runtime/persistence/packs.ts";
import { MemoryStore } from "../../../src/runtime/store/store.ts";

const MIB = 1024 * 1024;

test("checkpoints of many VMs at once leave no buffers of packs to the garbage collector", async () => {
  const before = process.memoryUsage().arrayBuffers;
  const writers = Array.from({ length: 40 }, () => new PackWriter(new MemoryStore(), 0, new Map()));
  for (const writer of writers) writer.add(await writer.room(1024));
  await Promise.all(writers.map((writer) => writer.finish()));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MIB);
});
