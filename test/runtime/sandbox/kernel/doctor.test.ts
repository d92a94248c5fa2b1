// @module-tag any-user
import { expect, test } from "vitest";
import { diagnose, formatDiagnosis } from "../../../../src/runtime/sandbox/kernel/doctor.ts";
import { doctorAfter } from "../../../support/doctor-after.ts";

test("diagnose() passes every check on this host", async () => {
  const diagnosis = await diagnose();
  expect(diagnosis.ok).toBe(true);
  expect(diagnosis.checks.map(({ name }) => name)).toEqual([
    "Linux",
    "programs",
    "versions",
    "user namespaces",
    "own procfs",
    "list of children",
    "Node inside",
    "user of VMs",
    "cgroups",
    "process limit",
    "system calls",
    "shared memory",
    "shared folders",
    "network",
    "a VM",
  ]);
  expect(formatDiagnosis(diagnosis)).toMatch(/ok {4}a VM +booted and ended in \d+ ms/);
});

test("the doctor reports disabled user namespaces", () => {
  const { status, output } = doctorAfter({ lines: ["echo 0 > /proc/sys/user/max_user_namespaces"] });
  expect(status).toBe(1);
  expect(output).toMatch(
    /FAIL {2}user namespaces +.*No space left on device\n +-> .*sysctl -w user.max_user_namespaces=\d+/,
  );
  expect(output).toContain("VMs cannot run here yet.");
});
