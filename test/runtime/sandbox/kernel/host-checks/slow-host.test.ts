// @module-tag any-user
// @module-tag slow
import { expect, test } from "vitest";
import { doctorAfter } from "../../../../support/doctor-after.ts";

test("the doctor waits for a host that takes 11 s for a boot", () => {
  const { status, output } = doctorAfter({
    lines: [
      "mount -t tmpfs none /mnt",
      "cp /usr/bin/install /mnt/install && cp /mnt/install /mnt/real",
      `printf '#!/bin/sh\\nsleep 11\\nexec /mnt/real "$@"\\n' > /mnt/install`,
      "mount --bind /mnt/install /usr/bin/install",
    ],
  });
  expect(output).toMatch(/ok {4}a VM +booted and ended in 1\d{4} ms/);
  expect(status).toBe(0);
});
