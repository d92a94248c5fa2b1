// @module-tag attack
import { afterEach, expect, test, vi } from "vitest";
import { PoolPlace } from "../../../../src/runtime/sandbox/kernel/pool-place.ts";
import { until } from "../../../support/until.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Lets the clock of the file go on by so many milliseconds. */
function pass(ms: number): void {
  const now = performance.now() + ms;
  vi.spyOn(performance, "now").mockReturnValue(now);
}

/** Resolves with the end of work that has begun, and waits. */
async function hold(place: PoolPlace): Promise<{ end(): Promise<void> }> {
  const begun = Promise.withResolvers<void>();
  const { promise, resolve } = Promise.withResolvers<void>();
  const working = place.run(() => {
    begun.resolve();
    return promise;
  });
  await begun.promise;
  return {
    async end() {
      resolve();
      await working;
    },
  };
}

async function makeSlow(place: PoolPlace): Promise<void> {
  const held = await hold(place);
  pass(1_000);
  try {
    await until(() => place.isSlow);
  } finally {
    await held.end();
  }
}

/** Whether work of a place waits while places that are free have their turns. */
async function waits(working: { began: boolean }): Promise<boolean> {
  for (let round = 0; round < 10; round++) await new PoolPlace().run(async () => undefined);
  return !working.began;
}

/** Asks for work. */
function ask(place: PoolPlace): { began: boolean; ended: Promise<void> } {
  const work = { began: false, ended: Promise.resolve() };
  work.ended = place.run(async () => {
    work.began = true;
  });
  return work;
}

test("a VM counts as slow for 600 times as long as it has kept a thread waiting", async () => {
  const hostile = new PoolPlace();
  await makeSlow(hostile);
  pass(599_000);
  expect(hostile.isSlow).toBe(true);
  pass(2_000);
  expect(hostile.isSlow).toBe(false);
});

test("work of a slow VM waits for other slow VMs, and no other VM waits for them", async () => {
  const [one, other] = [new PoolPlace(), new PoolPlace()];
  await makeSlow(one);
  await makeSlow(other);
  const held = await hold(one);
  const asked = ask(other);
  expect(await waits(asked)).toBe(true);
  await held.end();
  await asked.ended;
});

test("a VM has one thread", async () => {
  const place = new PoolPlace();
  const held = await hold(place);
  const asked = ask(place);
  expect(await waits(asked)).toBe(true);
  await held.end();
  await asked.ended;
});
