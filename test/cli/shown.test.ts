import { expect, test } from "vitest";
import { shownMemory } from "../../src/cli/shown.ts";

test("a limit of memory that nobody enforces is shown as such", () => {
  const memory = { used: 2 ** 20, limit: 2 ** 30 };
  expect(shownMemory({ ...memory, enforced: true })).toBe("1.0 MiB of 1.0 GiB");
  expect(shownMemory({ ...memory, enforced: false })).toBe("1.0 MiB of 1.0 GiB (not enforced)");
});
