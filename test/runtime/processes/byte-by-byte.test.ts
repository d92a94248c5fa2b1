// @module-tag any-user
// @module-tag slow
// @module-tag attack
import { expect, test } from "vitest";
import { ByteCollector } from "../../../src/base/byte-collector.ts";
import { PROCESS_REPLAY_BYTES, REPLAY_CHUNK_BYTES } from "../../../src/runtime/processes/limits.ts";
import { heldBytes } from "../../support/heap.ts";
import { startVm } from "../../support/vm.ts";

/** O_DIRECT makes a pipe deliver each write separately. */
const ONE_BY_ONE = `
import fcntl, os
fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_DIRECT)
for _ in range(40000): os.write(1, b"x")
`;

test("a process that writes byte by byte cannot make the server keep a chunk for each", async () => {
  const { vm } = startVm();
  const pid = await vm.spawnProcess("python3", ["-c", ONE_BY_ONE]);
  expect(await vm.waitProcess(pid)).toBe(0);
  const { chunks, truncated } = await vm.readProcessOutput(pid);
  expect(truncated).toBe(true);
  expect(chunks.length).toBeLessThanOrEqual(PROCESS_REPLAY_BYTES / (1 + REPLAY_CHUNK_BYTES));
  expect(chunks.at(-1)?.seq).toBe(39_999);
});

test("exec captures output that comes byte by byte", async () => {
  const { vm } = startVm();
  const { stdout, truncated } = await vm.execArgv("python3", ["-c", ONE_BY_ONE]);
  expect([stdout.length, truncated]).toEqual([40_000, false]);
});

test("collected bytes take little more than their number", () => {
  const before = heldBytes();
  const collector = new ByteCollector();
  for (let index = 0; index < 1_000_000; index++) collector.push(Buffer.from([index]));
  expect(heldBytes() - before).toBeLessThan(4_000_000);
  const all = collector.takeAll();
  expect(all.length).toBe(1_000_000);
  expect(all.every((byte, index) => byte === (index & 0xff))).toBe(true);
  expect(collector.takeAll().length).toBe(0);
});
