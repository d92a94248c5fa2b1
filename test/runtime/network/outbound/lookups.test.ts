import { expect, test } from "vitest";
import { MAX_OUTBOUND_LOOKUPS, MAX_WAITING_LOOKUPS } from "../../../../src/runtime/network/limits.ts";
import { OutboundLookups } from "../../../../src/runtime/network/outbound/lookups.ts";
import { failure } from "../../../support/until.ts";

test("lookups that wait end with their programs, and leave their places to others", async () => {
  const asked: string[] = [];
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const lookups = new OutboundLookups(async (name) => {
    asked.push(name);
    await answered;
    return ["192.0.2.1"];
  });
  const { signal } = new AbortController();
  const slow = Array.from({ length: MAX_OUTBOUND_LOOKUPS }, (_, index) =>
    lookups.find(`s${index}.test`, signal),
  );
  const program = new AbortController();
  const waiting = Array.from({ length: MAX_WAITING_LOOKUPS }, (_, index) =>
    failure(lookups.find(`w${index}.test`, program.signal)),
  );
  expect((await failure(lookups.find("more.test", signal))).message).toContain("MAX_WAITING_LOOKUPS");
  program.abort(new Error("gone"));
  // The resolver has answered nothing yet.
  for (const { message } of await Promise.all(waiting)) expect(message).toBe("gone");
  const next = lookups.find("next.test", signal);
  answer();
  expect(await Promise.all([next, ...slow])).toEqual([next, ...slow].map(() => ["192.0.2.1"]));
  expect(asked).toHaveLength(MAX_OUTBOUND_LOOKUPS + 1);
});
