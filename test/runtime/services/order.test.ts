import { expect, test } from "vitest";
import { unmetNeed } from "../../../src/runtime/services/order.ts";

const service = (name: string, ...needs: string[]) => ({ name, needs });

test.each<[services: { name: string; needs: string[] }[], reason: string | undefined]>([
  [[], undefined],
  [[service("a", "b"), service("b", "c"), service("c")], undefined],
  [[service("a"), service("a")], "two services have one name"],
  [[service("a", "b")], "a needs b, which is not a service"],
  [[service("a", "a")], "a need each other"],
  [[service("a", "b"), service("b", "a"), service("c")], "a, b need each other"],
])("needs of %j", (services, reason) => {
  expect(unmetNeed(services)).toBe(reason);
});
