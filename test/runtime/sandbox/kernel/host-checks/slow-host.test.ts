// @module-tag any-user
// @module-tag slow
import { expect, test } from "vitest";
import { doctorAfter } from "../../../../support/doctor-after.ts";

test("the doctor waits for a host that takes 11 s for a boot", () => {
  const { status, output } = doctorAfter({
    lines: [
      "mount -t tmpfs none /mnt",
      // The boot's processes become cat(1) without arguments.
      `printf '#!/bin/sh\\n[ $# -gt 0 ] || /usr/bin/sleep 11\\nexec /usr/bin/sed -u "" "$@"\\n' > /mnt/cat`,
      "chmod 755 /mnt/cat && mount --bind /mnt/cat /usr/bin/cat",
    ],
  });
  expect(output).toMatch(/ok {4}a VM +booted and ended in 1\d{4} ms/);
  expect(status).toBe(0);
});
