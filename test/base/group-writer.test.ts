import { expect, test } from "vitest";
import { GroupWriter } from "../../src/base/group-writer.ts";

/** Makes a writer whose writes the test settles by hand. */
function slowWriter(
  options: { count?: (waiting: readonly number[]) => number; onLost?: (error: unknown) => void } = {},
) {
  const groups: number[][] = [];
  const writes: PromiseWithResolvers<void>[] = [];
  const writer = new GroupWriter<number>({
    write(items) {
      groups.push([...items]);
      const write = Promise.withResolvers<void>();
      writes.push(write);
      return write.promise;
    },
    ...options,
  });
  return { writer, groups, writes };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("writes items of one turn together, and those that arrive during a write in the next group", async () => {
  const { writer, groups, writes } = slowWriter();
  const first = [writer.add(1), writer.add(2)];
  await turn();
  const second = [writer.add(3), writer.add(4)];
  await turn();
  expect(groups).toEqual([[1, 2]]);
  writes[0]?.resolve();
  await Promise.all(first);
  await turn();
  expect(groups).toEqual([
    [1, 2],
    [3, 4],
  ]);
  writes[1]?.resolve();
  await Promise.all(second);
});

test("takes as many items into a group as `count` allows, and at least one", async () => {
  const groups: number[][] = [];
  const writer = new GroupWriter<number>({
    write: async (items) => void groups.push([...items]),
    count: (waiting) => (waiting[0] === 5 ? 0 : 2),
  });
  await Promise.all([1, 2, 3, 4, 5, 6].map((item) => writer.add(item)));
  expect(groups).toEqual([[1, 2], [3, 4], [5], [6]]);
});

test("fails the items of a write that failed, and writes later ones", async () => {
  const { writer, groups, writes } = slowWriter();
  const failed = expect(writer.add(1)).rejects.toThrow("disk");
  await turn();
  const later = writer.add(2);
  writes[0]?.reject(new Error("disk"));
  await failed;
  await turn();
  writes[1]?.resolve();
  await later;
  expect(groups).toEqual([[1], [2]]);
});

test("fails all waiting items if they depend on each other, and writes later ones", async () => {
  const lost: unknown[] = [];
  const { writer, groups, writes } = slowWriter({ onLost: (error) => lost.push(error) });
  const first = expect(writer.add(1)).rejects.toThrow("disk");
  await turn();
  const second = expect(writer.add(2)).rejects.toThrow("disk");
  writes[0]?.reject(new Error("disk"));
  await Promise.all([first, second, writer.idle()]);
  expect(lost).toHaveLength(1);
  const third = writer.add(3);
  await turn();
  writes[1]?.resolve();
  await third;
  expect(groups).toEqual([[1], [3]]);
});

test("is idle when no item waits and no write is in progress", async () => {
  const { writer, writes } = slowWriter();
  await writer.idle();
  let isIdle = false;
  void writer.add(1);
  const idle = writer.idle().then(() => {
    isIdle = true;
  });
  await turn();
  expect(isIdle).toBe(false);
  writes[0]?.resolve();
  await idle;
});

test("close rejects waiting and later items, and finishes the write in progress", async () => {
  const { writer, groups, writes } = slowWriter();
  const inProgress = writer.add(1);
  await turn();
  const waiting = expect(writer.add(2)).rejects.toThrow("closed");
  writer.close(new Error("closed"));
  await waiting;
  await expect(writer.add(3)).rejects.toThrow("closed");
  writes[0]?.resolve();
  await inProgress;
  await writer.idle();
  expect(groups).toEqual([[1]]);
});

test("goes on after a callback that throws", async () => {
  let isBroken = true;
  const writer = new GroupWriter<number>({
    write: () => (isBroken ? Promise.reject(new Error("disk")) : Promise.resolve()),
    onLost() {
      throw new Error("callback");
    },
  });
  await expect(writer.add(1)).rejects.toThrow("disk");
  await writer.idle();
  isBroken = false;
  await writer.add(2);
});
