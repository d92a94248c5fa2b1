import { expect, test } from "vitest";
import { loadOnce } from "../../src/base/load-once.ts";

test("loads once for all callers", async () => {
  let loads = 0;
  const load = loadOnce(async () => ++loads);
  expect(await Promise.all([load(), load()])).toEqual([1, 1]);
  expect(await load()).toBe(1);
});

test("rejects all callers of a failed load, and loads again on the next call", async () => {
  let loads = 0;
  const load = loadOnce(async () => {
    if (++loads === 1) throw new Error("lost");
    return loads;
  });
  const both = await Promise.allSettled([load(), load()]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await load()).toBe(2);
});

test("shows the load without starting one, and loads again after it was forgotten", async () => {
  let loads = 0;
  const load = loadOnce(async () => ++loads);
  expect(load.peek()).toBeUndefined();
  const first = load();
  expect(load.peek()).toBe(first);
  load.forget();
  expect(load.peek()).toBeUndefined();
  expect([await first, await load()]).toEqual([1, 2]);
});

test("a load that was forgotten and then fails leaves the newer load", async () => {
  const loads: PromiseWithResolvers<number>[] = [];
  const load = loadOnce(() => {
    const started = Promise.withResolvers<number>();
    loads.push(started);
    return started.promise;
  });
  const older = load();
  load.forget();
  const newer = load();
  loads[0]?.reject(new Error("lost"));
  await expect(older).rejects.toThrow("lost");
  expect(load.peek()).toBe(newer);
  loads[1]?.resolve(2);
  expect(await load()).toBe(2);
});
