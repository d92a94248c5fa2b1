// @module-tag any-user
// @module-tag slow
import { expect, test } from "vitest";
import { doctorAfter } from "../../../../support/doctor-after.ts";

test("the doctor waits for a host that takes 11 s for a boot", () => {
  const { status, output } = doctorAfter({
    lines: [
      "mount -t tmpfs none /mnt",
      "cp /usr/bin/unshare /mnt/unshare && cp /mnt/unshare /mnt/real",
      `printf '#!/bin/sh\\ncase "$*" in *--kill-child*) sleep 11;; esac\\nexec /mnt/real "$@"\\n' > /mnt/unshare`,
      "mount --bind /mnt/unshare /usr/bin/unshare",
    ],
  });
  expect(output).toMatch(/ok {4}a VM +booted and ended in 1\d{4} ms/);
  expect(status).toBe(0);
});
