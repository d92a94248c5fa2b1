// @module-tag attack
import { expect, test } from "vitest";
import { limitSubscriptions } from "../../src/rivet/subscribers.ts";

test("a connection gets 64 subscriptions, then a coded refusal, and is disconnected if it goes on", () => {
  let cuts = 0;
  const connection = {
    subscriptions: new Set<string>(),
    disconnect: async () => {
      cuts += 1;
    },
  };
  limitSubscriptions(connection);
  for (let index = 0; index < 64; index++) connection.subscriptions.add(`e${index}`);
  for (let index = 1; index <= 64; index++) {
    expect(() => connection.subscriptions.add(`more${index}`)).toThrow(
      expect.objectContaining({ code: "limit_exceeded" }),
    );
    expect(cuts).toBe(index === 64 ? 1 : 0);
  }
  connection.subscriptions.add("e1");
  expect(connection.subscriptions.size).toBe(64);
});
