import { expect, onTestFinished, test } from "vitest";
import { HelperLost } from "../../../../../src/runtime/sandbox/kernel/helpers/helper-process.ts";
import { OnDemand } from "../../../../../src/runtime/sandbox/kernel/helpers/on-demand.ts";
import { failure } from "../../../../support/until.ts";

class FakeHelper {
  isUsable = true;
  readonly busy = 0;

  async close(): Promise<void> {
    this.isUsable = false;
  }
}

/**
 * @param failing numbers of the starts that fail, counted from 1
 * @param given a helper that has been started before
 */
function helpersFailing(failing: readonly number[], maxTries: number, given?: Promise<FakeHelper>) {
  let starts = 0;
  const start = () => {
    starts++;
    if (failing.includes(starts)) throw new HelperLost(`start ${starts} failed`);
    return new FakeHelper();
  };
  const helpers = new OnDemand<FakeHelper>(start, maxTries, given);
  onTestFinished(() => helpers.close());
  const use = () =>
    helpers.use(async (helper) => {
      if (!helper.isUsable) throw new HelperLost("the helper is dead");
      return helper;
    });
  return { helpers, use };
}

test("starts a helper again after a synchronous start has failed", async () => {
  const { helpers, use } = helpersFailing([2], 3);
  const first = await use();
  await first.close();
  const second = await use();
  expect(second).not.toBe(first);
  expect(helpers.running).toBe(second);
});

test("a use whose last start fails does not affect the next use", async () => {
  const { use } = helpersFailing([2, 3], 2);
  const first = await use();
  await first.close();
  expect(await failure(use())).toMatchObject({ message: "start 3 failed" });
  expect((await use()).isUsable).toBe(true);
});

test("calls at the same time share one helper", async () => {
  const { use } = helpersFailing([1], 2);
  const [first, second] = await Promise.all([use(), use()]);
  expect(second).toBe(first);
});

test("a helper that was started ahead does the first work", async () => {
  const { helpers, use } = helpersFailing([], 1);
  await helpers.warm();
  const { running } = helpers;
  expect(running).toBeDefined();
  expect(await use()).toBe(running);
  await helpers.close();
  expect((await failure(helpers.warm())).message).toMatch(/stopped|ended|VM/);
});

test("a helper that is given does the first work, and is not started again", async () => {
  const given = new FakeHelper();
  const { helpers, use } = helpersFailing([1], 1, Promise.resolve(given));
  await helpers.warm();
  expect(await use()).toBe(given);
});

test("a given helper that fails is replaced", async () => {
  const { use } = helpersFailing([], 2, Promise.reject(new HelperLost("it has ended")));
  expect((await use()).isUsable).toBe(true);
});
