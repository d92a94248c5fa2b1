// @module-tag any-user
// @module-tag slow
import { expect, test } from "vitest";
import { FILTERED_CALLS } from "../../../../../src/runtime/sandbox/system-calls.ts";
import { doctorAfter, ROOT } from "../../../../support/doctor-after.ts";

const NO_CAPABILITIES = ["--bounding-set=-all", "--inh-caps=-all"];

test("the doctor reports root without the capability to map uids", () => {
  const { status, output } = doctorAfter({ privileges: NO_CAPABILITIES });
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}user namespaces +.*uid_map.*\n +-> Root without CAP_SETFCAP.*--user 1000/);
});

test("the doctor reports a filter of system calls that refuses namespaces", () => {
  const { status, output } = doctorAfter({ seccomp: "default" });
  expect(status).toBe(1);
  expect(output).toMatch(
    /FAIL {2}user namespaces +.*\n +-> A seccomp filter may refuse: .*deploy\/seccomp\.json/,
  );
});

test("the doctor reports a filter that lets a VM boot, and no program enter it", () => {
  const allow = FILTERED_CALLS.filter((name) => name !== "setns");
  const { status, output } = doctorAfter({ seccomp: { allow } });
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}a VM +.*\n +-> A seccomp filter may refuse/);
});

test("the doctor reports few user namespaces", () => {
  const { status, output } = doctorAfter({ lines: ["echo 40 > /proc/sys/user/max_user_namespaces"] });
  expect(status).toBe(0);
  expect(output).toMatch(
    /warn {2}user namespaces +allowed, 40 at most.*\n +-> .*user\.max_user_namespaces=15000/,
  );
});

test("the doctor reports too few user namespaces for one VM", () => {
  const { status, output } = doctorAfter({ lines: ["echo 1 > /proc/sys/user/max_user_namespaces"] });
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}user namespaces +.*\n +-> .*user\.max_user_namespaces=15000/);
});

test("the doctor reports AppArmor's switch for user namespaces", () => {
  // This kernel may have no AppArmor: the file is made up, the refusal is that of a filter.
  const { status, output } = doctorAfter({
    lines: [
      "mount -t tmpfs none /proc/sys/kernel",
      "echo 1 > /proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    ],
    seccomp: "default",
  });
  expect(status).toBe(1);
  expect(output).toMatch(/-> AppArmor restricts user namespaces: .*deploy\/apparmor\/agent-vm/);
});

test("the doctor reports a server in a chroot", () => {
  const { status, output } = doctorAfter({
    lines: [
      "mount -t tmpfs none /mnt && root=/mnt/inner && mkdir $root",
      "for path in /*; do [ $path = /mnt ] && continue; [ -L $path ] && cp -P $path $root/ && continue; [ -d $path ] || continue",
      "mkdir $root$path; mount --rbind $path $root$path; done",
      `set -- chroot $root sh -c 'cd "$0" && exec "$@"' '${ROOT}' "$@"`,
    ],
  });
  expect(status).toBe(1);
  expect(output).toMatch(/FAIL {2}user namespaces +.*\n +-> .*chroot/);
});
