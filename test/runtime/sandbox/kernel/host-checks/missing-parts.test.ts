// @module-tag any-user
// @module-tag slow
import { expect, test } from "vitest";
import { doctorAfter, withoutProgram } from "../../../../support/doctor-after.ts";

test.each(["script", "perl"])("the doctor reports that %s is missing", (name) => {
  const { status, output } = doctorAfter({ lines: [withoutProgram(name)] });
  expect(status).toBe(1);
  expect(output).toMatch(new RegExp(`FAIL {2}programs +missing: ${name}\\n +-> Install .*mount, .*perl`));
});

test("the doctor reports a partly covered /proc, as in a container", () => {
  const { status, output } = doctorAfter({ lines: ["mount -t tmpfs none /proc/sys"] });
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}own procfs +.*\n +-> .*systempaths=unconfined.*procMount: Unmasked/);
});

test("the doctor reports a folder for scratch files that is read-only", () => {
  const { status, output } = doctorAfter({
    lines: ["mount -t tmpfs -o ro none /mnt", "export TMPDIR=/mnt"],
  });
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}a VM +.*\n +-> .*TMPDIR.*mount a tmpfs/);
});

test.each([
  ["nf_tables", /connections to ports that the policy names meet it, others need the proxy: .*nf_tables/],
  ["netlink", /only programs with proxy support get out: .*nf_tables.*veth/],
] as const)("without %s the doctor says how programs get out, and VMs run", (missing, way) => {
  const { status, output } = doctorAfter({ missing });
  expect(output).toMatch(way);
  expect(output).toMatch(/-> Use a kernel with nf_tables/);
  expect(status).toBe(0);
});
