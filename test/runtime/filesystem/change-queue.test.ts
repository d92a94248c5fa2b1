// @module-tag attack
import { expect, test } from "vitest";
import type { FileChangedEvent } from "../../../src/api/events.ts";
import { FairPool } from "../../../src/base/fair-pool.ts";
import { ChangeQueue } from "../../../src/runtime/filesystem/change-queue.ts";
import { seededRandom } from "../../support/random.ts";
import { until } from "../../support/until.ts";

const long = "x".repeat(4_000);

const changes = (watchId: string, count: number): FileChangedEvent[] =>
  Array.from({ length: count }, (_change, at) => ({
    watchId,
    type: "created",
    path: `/${watchId}/${at}${long}`,
  }));

test("the events of all VMs that wait have a bound in bytes, and those of a quiet VM stay", async () => {
  const pool = new FairPool(1 << 20);
  const queue = () => {
    const got: FileChangedEvent[] = [];
    const of = new ChangeQueue((event) => got.push(event), pool);
    const add = (events: FileChangedEvent[]) => {
      for (const event of events) of.add(event, `/${event.watchId}`);
    };
    return { got, of, add };
  };
  const [quiet, loud] = [queue(), queue()];
  quiet.add(changes("quiet", 10));
  loud.add(changes("one", 100));
  loud.add(changes("two", 100));
  loud.add([{ watchId: "gone", type: "ended", path: "/gone" }]);
  expect(pool.bytes).toBeLessThan(1 << 20);
  await until(() => quiet.of.bytes + loud.of.bytes === 0);
  expect(quiet.got).toEqual(changes("quiet", 10));
  // One watch reports later changes again.
  expect(loud.got.slice(0, 1)).toEqual([{ watchId: "one", type: "overflow", path: "/one" }]);
  expect(loud.got.filter(({ watchId }) => watchId === "two").map(({ type }) => type)).toContain("overflow");
  expect(loud.got.at(-1)).toEqual({ watchId: "gone", type: "ended", path: "/gone" });
  expect(pool.bytes).toBe(0);
  loud.add(changes("one", 1));
  await until(() => loud.of.bytes === 0);
  expect(loud.got.at(-1)).toEqual(changes("one", 1)[0]);
});

test("many VMs with many watches that overflow end below their bound, or with one event for each watch", () => {
  const pool = new FairPool(1 << 20);
  const queues = Array.from({ length: 50 }, () => new ChangeQueue(() => undefined, pool));
  for (const queue of queues)
    for (let watch = 0; watch < 10; watch++)
      for (const change of changes(`${watch}`, 3)) queue.add(change, `/${long}`);
  for (const queue of queues) expect(queue.bytes).toBeLessThan(10 * 2 * 5_000);
  for (const queue of queues) queue.close();
  expect(pool.bytes).toBe(0);
});

test("a queue that never rests counts only the events that wait", async () => {
  const pool = new FairPool(1 << 30);
  let got = 0;
  const queue: ChangeQueue = new ChangeQueue(() => {
    got += 1;
    if (got < 20_000) queue.add({ watchId: "a", type: "created", path: `/${got}` }, "/");
  }, pool);
  queue.add({ watchId: "a", type: "created", path: "/0" }, "/");
  await until(() => got === 20_000);
  expect(queue.bytes).toBe(0);
  expect(queue.drained()).toBeNull();
});

test("all VMs together count the events that wait, whatever happens in whatever order", async () => {
  const { below } = seededRandom(1);
  const pool = new FairPool(20_000);
  for (let round = 0; round < 20; round++) {
    const vms = Array.from({ length: 3 }, () => new ChangeQueue(() => undefined, pool));
    for (let step = 0; step < 300; step++) {
      const vm = vms[below(3)] as ChangeQueue;
      const watchId = `watch ${below(4)}`;
      const what = below(40);
      if (what === 0) vm.close();
      else if (what === 1) await null;
      else if (what < 5) vm.drop(watchId);
      else vm.add({ watchId, type: what < 8 ? "ended" : "created", path: "x".repeat(below(400)) }, "/");
      expect(pool.bytes).toBe(vms.reduce((sum, { bytes }) => sum + bytes, 0));
    }
    await until(() => pool.bytes === 0);
  }
});
