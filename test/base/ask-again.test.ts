import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { askAgain } from "../../src/base/ask-again.ts";
import { failure, underWay } from "../support/until.ts";

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

/** Questions of which a test answers each. */
function questions() {
  const asked: (PromiseWithResolvers<string> & { signal: AbortSignal })[] = [];
  const ask = (signal: AbortSignal) => {
    const question = { ...Promise.withResolvers<string>(), signal };
    asked.push(question);
    return question.promise;
  };
  return { asked, ask };
}

test("asks again after pauses that double, and takes the first answer of any question", async () => {
  const { asked, ask } = questions();
  const answer = askAgain(ask, 100, new AbortController().signal);
  const counts: number[] = [];
  for (const ms of [0, 99, 1, 199, 1, 399, 1]) {
    await vi.advanceTimersByTimeAsync(ms);
    counts.push(asked.length);
  }
  expect(counts).toEqual([1, 1, 2, 2, 3, 3, 4]);
  asked[1]?.resolve("second");
  expect(await answer).toBe("second");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true, true, true]);
});

test("the first error counts, and the end ends the wait", async () => {
  const failing = questions();
  const failed = underWay(askAgain(failing.ask, 100, new AbortController().signal));
  failing.asked[0]?.reject(new Error("refused"));
  await expect(failed).rejects.toThrow("refused");

  const { asked, ask } = questions();
  const end = new AbortController();
  const ended = underWay(askAgain(ask, 100, end.signal));
  end.abort(new Error("too late"));
  expect((await failure(ended)).message).toBe("too late");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toHaveLength(1);
  expect((await failure(askAgain(ask, 100, end.signal))).message).toBe("too late");
  expect(asked).toHaveLength(1);
});
