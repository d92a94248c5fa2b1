import { beforeEach, expect, test } from "vitest";
import { LineQueue } from "../../../../src/runtime/sessions/agent-link/line-queue.ts";
import { countPerTurn, freshSlice, work } from "../../../support/turns.ts";

beforeEach(freshSlice);

const large = (mark: string) => mark.repeat(100_000);

function recorder() {
  const lines: string[] = [];
  const busy: boolean[] = [];
  const queue = new LineQueue(
    (line) => {
      if (line.length > 1) work();
      lines.push(line[0] as string);
    },
    (isBusy) => busy.push(isBusy),
  );
  return { queue, lines, busy };
}

test("passes lines on at once, in order", () => {
  const { queue, lines, busy } = recorder();
  for (const line of ["a", large("b"), "c", "d"]) queue.push(line);
  expect(lines.join("")).toBe("abcd");
  expect(busy).toEqual([]);
});

test("all queues together pass one large line on in each turn, in order with small ones", async () => {
  const queues = Array.from({ length: 5 }, recorder);
  const counts = await countPerTurn(async (done) => {
    for (const { queue } of queues) {
      const push = (line: string) => queue.push(line);
      for (const line of ["a", large("b"), "c", large("d"), "e"]) push(line);
    }
    await Promise.all(queues.map(({ queue }) => queue.idle()));
    done();
  });
  for (const { lines } of queues) expect(lines.join("")).toBe("abcde");
  // There are ten large lines. The first one is passed on before any turn.
  expect(counts.length).toBeGreaterThanOrEqual(10);
  for (const { busy } of queues) expect(busy).toEqual([true, false]);
});

test("stop drops the waiting lines", async () => {
  const { queue, lines, busy } = recorder();
  for (const line of [large("a"), large("b"), "c"]) queue.push(line);
  // On a busy machine the first line may wait too.
  const passed = lines.join("");
  expect(["", "a"]).toContain(passed);
  queue.stop();
  await queue.idle();
  expect(lines.join("")).toBe(passed);
  expect(busy).toEqual([true, false]);
  queue.push("d");
  expect(lines.join("")).toBe(`${passed}d`);
});
