import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const HEAP = new URL("../../src/base/heap.ts", import.meta.url).href;

/** Keeps and drops some 70 MB, and prints its memory in MiB with them, and after the next collection of the whole heap. */
const PROGRAM = `
  import { constants, PerformanceObserver } from "node:perf_hooks";
  import { noteEnd } from ${JSON.stringify(HEAP)};
  const mib = () => process.memoryUsage().rss / 2 ** 20;
  let kept = Array.from({ length: 500_000 }, (_, index) => ({ index, list: [index], text: "text " + index }));
  setTimeout(() => {
    console.log(mib());
    kept = kept.slice(0, 10);
    new PerformanceObserver((list) => {
      if (!list.getEntries().some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR)) return;
      console.log(mib());
      process.exit();
    }).observe({ entryTypes: ["gc"] });
    for (let count = 0; count < 20; count++) noteEnd(0);
    setTimeout(() => process.exit(), 30_000);
  }, 500);
`;

test("a process gives the memory of many ended things back, although it makes no more garbage", async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", PROGRAM]);
  const [before = 0, after = before] = stdout.trim().split("\n").map(Number);
  expect(before).toBeGreaterThan(100);
  expect(after).toBeLessThan(before - 50);
});
