// @module-tag any-user
// @module-tag slow
import { describe, expect, test } from "vitest";
import { doctorAfter } from "../../../../support/doctor-after.ts";
import { isRoot } from "../../../../support/host.ts";

const OWN_MOUNTS = ["--mount"];
/** A container's defaults: no CAP_SYS_ADMIN and no CAP_SYS_PTRACE. */
const FEW_CAPABILITIES = ["--bounding-set=-sys_admin,-sys_ptrace", "--inh-caps=-all"];
const NO_CGROUPS = "mount -t tmpfs none /sys/fs/cgroup";

test("root whose user namespace maps one uid boots VMs as an ordinary user does", () => {
  const { status, output } = doctorAfter();
  expect(output).toMatch(
    /warn {2}user of VMs +the server's own: root's user namespace maps too few uids\n +-> .*65,536 uids/,
  );
  expect(output).toMatch(/ok {4}a VM +booted/);
  expect(status).toBe(0);
});

describe.runIf(isRoot)("root of the host", () => {
  test("boots VMs without CAP_SYS_ADMIN, and the doctor names it", () => {
    const { status, output } = doctorAfter({ namespaces: OWN_MOUNTS, privileges: FEW_CAPABILITIES });
    expect(output).toMatch(
      /warn {2}user of VMs +the server's own: root lacks CAP_SYS_PTRACE, CAP_SYS_ADMIN\n +-> .*--user 1000/,
    );
    expect(output).toMatch(/ok {4}a VM +booted/);
    expect(status).toBe(0);
  });

  test("learns that the kernel does not count its processes, without cgroups", () => {
    const { status, output } = doctorAfter({
      namespaces: OWN_MOUNTS,
      lines: [NO_CGROUPS],
      privileges: FEW_CAPABILITIES,
    });
    expect(output).toMatch(/warn {2}process limit +limits\.processes does not hold.*\n +-> .*--user 1000/);
    expect(status).toBe(0);
  });

  test("boots VMs although parts of /proc are masked, with all capabilities", () => {
    const { status, output } = doctorAfter({
      namespaces: OWN_MOUNTS,
      lines: ["mount -t tmpfs none /proc/scsi || mount -t tmpfs none /proc/fs"],
    });
    expect(output).toMatch(/ok {4}own procfs/);
    expect(status).toBe(0);
  });
});
