import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { turnAfter } from "../../src/actors/large-calls.ts";

test("a large call goes on in the next turn of the event loop, and no later call overtakes it", async () => {
  expect(turnAfter(["small"])).toBeUndefined();
  const events: string[] = [];
  const call = async (name: string, content: string) => {
    await turnAfter([content]);
    events.push(name);
  };
  const calls = [call("large", "x".repeat(3 * 1024 * 1024)), call("small", "x"), call("smaller", "")];
  await Promise.resolve();
  events.push("end of the turn");
  await Promise.all(calls);
  expect(events).toEqual(["end of the turn", "large", "small", "smaller"]);
  await setImmediate();
  expect(turnAfter(["small"])).toBeUndefined();
});
