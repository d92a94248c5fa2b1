import { expect, test } from "vitest";
import { Known } from "../../src/base/known.ts";

test("forgets the value that was not used for longest", () => {
  const known = new Known<number>(2);
  known.set("a", 1);
  known.set("b", 2);
  known.get("a");
  known.set("c", 3);
  expect(["a", "b", "c"].map((name) => known.get(name))).toEqual([1, undefined, 3]);
});
