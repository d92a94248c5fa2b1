import { expect, test } from "vitest";
import type { LimitWarningEvent } from "../../../src/api/events.ts";
import { LimitWatch } from "../../../src/runtime/machine/limit-watch.ts";

function watch() {
  const warnings: LimitWarningEvent[] = [];
  const limits = new LimitWatch((warning) => warnings.push(warning));
  const check = (observed: number | null, capacity: number | undefined = 100) =>
    limits.check([{ limit: "inodes", path: "limits.inodes", observed, capacity }]);
  return { warnings, limits, check };
}

test("a warning comes once a crossing of 80 %, and again only after the use was below 70 %", () => {
  const { warnings, check } = watch();
  const counts = [79, 80, 100, 79, 85, 70, 90, 69, 79, 80].map((observed) => {
    check(observed);
    return warnings.length;
  });
  expect(counts).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
  expect(warnings[0]).toEqual({
    limit: "inodes",
    observed: 80,
    capacity: 100,
    path: "limits.inodes",
    message: "The VM uses 80 of 100 (inodes). The option limits.inodes raises the limit.",
  });
});

test("an unknown amount and a limit that does not exist cause no warning and rearm none", () => {
  const { warnings, limits, check } = watch();
  check(90);
  check(null);
  limits.check([{ limit: "cpus", path: "limits.cpus", observed: 90, capacity: undefined }]);
  check(90);
  expect(warnings).toHaveLength(1);
  limits.reset();
  check(90);
  expect(warnings).toHaveLength(2);
});
