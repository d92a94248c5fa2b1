import { expect, test } from "vitest";
import { actionOf } from "../../src/actors/action.ts";
import { drain } from "../../src/actors/drain.ts";
import { deferred } from "../../src/base/deferred.ts";

test("a server that drains waits until a large result, which has a turn of its own, is ready", async () => {
  const begun = deferred<void>();
  const result = deferred<string>();
  const large = () => {
    begun.resolve();
    return result.promise;
  };
  const instance = {
    held: { hold: () => ({ changed: () => undefined, release: () => undefined }) },
    monitor: { log: console, traced: (_: string, call: () => Promise<unknown>) => call() },
    used: () => undefined,
  };
  const vars = { instance, own: { parts: { actions: { large } } } };
  const ends: string[] = [];
  const answer = actionOf("large")({ vars } as never).then(() => ends.push("answer"));
  await begun.promise;
  const drained = drain(60_000).then(() => ends.push("drain"));
  result.resolve("x".repeat(3 << 20));
  await Promise.all([answer, drained]);
  expect(ends).toEqual(["answer", "drain"]);
});
