// @module-tag slow
// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("1,000 concurrent execs: each gets its own result", async () => {
  const { vm } = startVm();
  const results = await Promise.all(Array.from({ length: 1000 }, (_, index) => vm.exec(`echo ${index}`)));
  expect(results.map(({ stdout }) => stdout)).toEqual(
    Array.from({ length: 1000 }, (_, index) => `${index}\n`),
  );
});

test("past the process limit a command fails, and the VM keeps working", async () => {
  const { vm } = startVm({ limits: { processes: 40 } });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 120 }, () => vm.exec("sleep 1; echo slept")),
  );
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  expect(refused.length).toBeGreaterThan(0);
  for (const { reason } of refused) expect(reason).toMatchObject({ code: "EAGAIN" });
  expect(
    outcomes.some((outcome) => outcome.status === "fulfilled" && outcome.value.stdout === "slept\n"),
  ).toBe(true);
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});
